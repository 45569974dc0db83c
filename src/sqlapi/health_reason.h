/*
 * health_reason.h
 *		What a line of cadence_health() is about, in a word of a closed set.
 */
#ifndef CADENCE_HEALTH_REASON_H
#define CADENCE_HEALTH_REASON_H

#define HEALTH_REASONS 23

extern int health_reason_of(const char *line);
extern const char *health_reason_name(int reason);

#endif
