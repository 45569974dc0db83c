/*
 * secret.c
 *		A secret of a user mapping, given there or in a file.
 *
 * A file is read with the server's rights, at a superuser's word. Nothing in
 * its place may stop us: a FIFO or a device is not waited for, nor read.
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage/fd.h"

#include "provider/options.h"
#include "provider/secret.h"

#define SECRET_FILE_MAX 8192

static void
look_at(const char *path, struct stat *state)
{
	if (stat(path, state) != 0)
		memset(state, 0, sizeof(*state));
}

/* Fills the buffer; returns how many bytes there were, or -1 with errno. */
static ssize_t
read_file(CadenceSecret *secret, char *buffer, size_t size)
{
	int fd;
	ssize_t n = -1;

	look_at(secret->path, &secret->was);
	fd = OpenTransientFile(secret->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &secret->was) == 0)
	{
		errno = EINVAL;
		if (S_ISREG(secret->was.st_mode))
			n = read(fd, buffer, size);
	}
	CloseTransientFile(fd);
	return n;
}

/* The path is told to nobody: who sees an event need not know where secrets lie. */
static const char *
take_from_file(CadenceSecret *secret)
{
	char buffer[SECRET_FILE_MAX + 1];
	ssize_t len = read_file(secret, buffer, sizeof(buffer));

	if (len < 0)
		return errno == EINVAL
				   ? "the file of a secret is not a regular file"
				   : psprintf("could not open the file of a secret: %s", strerror(errno));
	while (len > 0 && (buffer[len - 1] == '\n' || buffer[len - 1] == '\r'))
		len--;
	if (len > SECRET_FILE_MAX || len == 0)
		return psprintf("the file of a secret must hold from 1 to %d bytes", SECRET_FILE_MAX);
	buffer[len] = '\0';
	if (strlen(buffer) != len || cadence_has_control_characters(buffer))
		return "the file of a secret contains control characters";
	secret->value = pstrdup(buffer);
	explicit_bzero(buffer, sizeof(buffer));
	return NULL;
}

/*
 * Reads a secret, if a mapping has it; returns NULL, or why it could not be
 * read.
 */
const char *
cadence_secret_read(CadenceSecret *secret, List *mapping, const char *name)
{
	const char *value = cadence_option_get(mapping, name);
	const char *path = cadence_option_get(mapping, psprintf("%s_file", name));

	memset(secret, 0, sizeof(*secret));
	secret->name = name;
	if (value != NULL)
		secret->value = pstrdup(value);
	if (value != NULL || path == NULL)
		return NULL;
	secret->path = pstrdup(path);
	return take_from_file(secret);
}

/* Whether its file is another than the one that was read. */
bool
cadence_secret_has_changed(const CadenceSecret *secret)
{
	struct stat now;

	if (secret->path == NULL)
		return false;
	look_at(secret->path, &now);
	return now.st_ino != secret->was.st_ino || now.st_dev != secret->was.st_dev ||
		   now.st_size != secret->was.st_size || now.st_mode != secret->was.st_mode ||
		   now.st_mtim.tv_sec != secret->was.st_mtim.tv_sec ||
		   now.st_mtim.tv_nsec != secret->was.st_mtim.tv_nsec ||
		   now.st_ctim.tv_sec != secret->was.st_ctim.tv_sec ||
		   now.st_ctim.tv_nsec != secret->was.st_ctim.tv_nsec;
}
