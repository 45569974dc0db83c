/*
 * status.h
 *		What cadence_runner_status() is to say to other functions of ours.
 */
#ifndef CADENCE_STATUS_H
#define CADENCE_STATUS_H

#include "postgres.h"

extern bool cadence_status_is_brief;

#endif
