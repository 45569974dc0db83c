/*
 * files.h
 *		The dashboard's files.
 */
#ifndef DOOR_FILES_H
#define DOOR_FILES_H

#include <microhttpd.h>
#include <stdbool.h>

typedef struct File File;

extern bool files_load(const char *directory);
extern void files_free(void);
extern const File *files_find(const char *path);
extern struct MHD_Response *files_answer(const File *file, const char *known_etag,
										 unsigned int *status);

#endif
