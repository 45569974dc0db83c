/*
 * files.c
 *		The dashboard's files, which are few and small: they are read once, and no path of
 *		a request ever reaches the file system.
 *
 * A browser asks each time whether its copy is still good, so that an upgrade
 * is seen at once.
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"

#define FILES_MAX 100
#define FILE_BYTES_MAX (1024 * 1024)
#define NAME_BYTES_MAX 64

struct File
{
	char name[NAME_BYTES_MAX];
	char etag[40];
	struct MHD_Response *whole;
	struct MHD_Response *unchanged;
};

static File files[FILES_MAX];
static int count;

/* ---- what is said with each of them --------------------------------------- */

static const struct
{
	const char *suffix;
	const char *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".json", "application/json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".ico", "image/x-icon"},
	{".woff2", "font/woff2"},
	{".webmanifest", "application/manifest+json"},
	{".txt", "text/plain; charset=utf-8"},
};

/* Scripts, styles and data of our own only, in nobody's frame, and no form leads elsewhere. */
static const char *const headers[][2] = {
	{"Content-Security-Policy",
	 "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
	 "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
	 "frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"},
	{"Cache-Control", "no-cache"},
};

static const char *
type_of(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		size_t suffix = strlen(types[i].suffix);

		if (strlen(name) > suffix && strcmp(name + strlen(name) - suffix, types[i].suffix) == 0)
			return types[i].type;
	}
	return NULL;
}

static bool
add_headers(const File *file, struct MHD_Response *response)
{
	bool ok = response != NULL &&
			  MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, file->etag) == MHD_YES;

	for (size_t i = 0; ok && i < sizeof(headers) / sizeof(headers[0]); i++)
		ok = MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES;
	return ok;
}

/* ---- reading -------------------------------------------------------------- */

static uint64_t
hash(const char *data, size_t size)
{
	uint64_t value = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < size; i++)
		value = (value ^ (unsigned char) data[i]) * UINT64_C(1099511628211);
	return value;
}

/* Takes the data. */
static bool
add_file(const char *name, char *data, size_t size)
{
	File *file = &files[count];

	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->etag, sizeof(file->etag), "\"%016" PRIx64 "-%zx\"", hash(data, size), size);
	file->whole = MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
	file->unchanged = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	count++;
	return add_headers(file, file->whole) && add_headers(file, file->unchanged) &&
		   MHD_add_response_header(file->whole, MHD_HTTP_HEADER_CONTENT_TYPE, type_of(name)) ==
			   MHD_YES;
}

static bool
is_file(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool
read_whole(const char *path, char **data, size_t *size)
{
	FILE *file = fopen(path, "re");
	struct stat status;

	*data = NULL;
	if (file != NULL && fstat(fileno(file), &status) == 0 && status.st_size <= FILE_BYTES_MAX &&
		(*data = malloc((size_t) status.st_size + 1)) != NULL)
		*size = fread(*data, 1, (size_t) status.st_size, file);
	if (file != NULL)
		fclose(file);
	return *data != NULL;
}

/* What has no type that a browser knows is not for it. */
static bool
load(const char *directory, const char *name)
{
	char path[PATH_MAX];
	char *data;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (*name == '.' || type_of(name) == NULL || !is_file(path))
		return true;
	if (count == FILES_MAX || strlen(name) >= NAME_BYTES_MAX || !read_whole(path, &data, &size) ||
		!add_file(name, data, size))
	{
		log_line("%s/%s cannot be used", directory, name);
		return false;
	}
	return true;
}

/* False: it has been said why. That there is no such directory only costs the dashboard. */
bool
files_load(const char *directory)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	bool ok = true;

	if (entries == NULL)
	{
		log_line("no dashboard: %s: %s", directory, strerror(errno));
		return true;
	}
	while (ok && (entry = readdir(entries)) != NULL)
		ok = load(directory, entry->d_name);
	closedir(entries);
	return ok;
}

void
files_free(void)
{
	while (count > 0)
	{
		count--;
		if (files[count].whole != NULL)
			MHD_destroy_response(files[count].whole);
		if (files[count].unchanged != NULL)
			MHD_destroy_response(files[count].unchanged);
	}
}

/* ---- answering ------------------------------------------------------------ */

/* Null: there is none. */
const File *
files_find(const char *path)
{
	static const char prefix[] = "/static/";
	const char *name = "index.html";

	if (strncmp(path, prefix, strlen(prefix)) == 0)
		name = path + strlen(prefix);
	else if (strcmp(path, "/") != 0)
		return NULL;
	for (int i = 0; i < count; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}

/* What its client has already may be null. The answer is ours still, and is used again. */
struct MHD_Response *
files_answer(const File *file, const char *known_etag, unsigned int *status)
{
	if (known_etag != NULL && strstr(known_etag, file->etag) != NULL)
	{
		*status = MHD_HTTP_NOT_MODIFIED;
		return file->unchanged;
	}
	*status = MHD_HTTP_OK;
	return file->whole;
}
