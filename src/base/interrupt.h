/*
 * interrupt.h
 *		How a sending worker is woken and stopped.
 */
#ifndef CADENCE_INTERRUPT_H
#define CADENCE_INTERRUPT_H

#include "postgres.h"

extern void cadence_interrupts_install(bool is_resident);
extern void cadence_set_cancellable(bool value);
extern void cadence_set_cancellable_between(void);
extern bool cadence_stop_requested(void);
extern bool cadence_stop_is_urgent(void);
extern bool cadence_settings_changed(void);
extern int cadence_wakeup_fd(void);
extern void cadence_drain_wakeups(void);
extern void cadence_sleep(int at_most_ms);
extern void cadence_process_interrupts(void);
extern void cadence_forget_cancel(void);

#endif
