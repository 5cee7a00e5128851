/* A library to preload that lets one system call on the files below a folder fail.
 *
 * faults_arm(folder, n, error, more) counts the calls from 1 on and lets the n-th fail with that errno, and so many
 * more after it; n = 0 lets none fail. faults_count() says how many there were, faults_last() which one failed.
 * Calls are those that make, change, rename, remove, lock or flush files; each stands here once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static char last[PATH_MAX + 64];
static atomic_int count, at, failing, more_failing;

void faults_arm(const char *folder, int n, int error, int more) {
    below[0] = 0;
    snprintf(below, sizeof below, "%s", folder);
    last[0] = 0;
    at = n;
    failing = error;
    more_failing = more;
    count = 0;
}
int faults_count(void) { return count; }
const char *faults_last(void) { return last; }

/* By the environment, for a process that does not know this library; FAULTS_CALL names the only call that counts. */
static const char *only;
__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("FAULTS_BELOW"), *n = getenv("FAULTS_AT"), *error = getenv("FAULTS_ERRNO");
    only = getenv("FAULTS_CALL");
    if (folder && n && error) faults_arm(folder, atoi(n), atoi(error), getenv("FAULTS_MORE") ? INT_MAX : 0);
}

/* Whether the call is to fail: errno is set then. */
static int fails(const char *call, int folder, const char *path) {
    char full[2 * PATH_MAX], link[64];
    ssize_t length = 0;
    int kept = errno;
    if (!below[0] || (only && strcmp(only, call))) return 0;
    if (!path || path[0] != '/') {
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, full, PATH_MAX);
        errno = kept;
        if (length < 0) return 0;
    }
    snprintf(full + length, PATH_MAX, "%s%s", length && path ? "/" : "", path ? path : "");
    if (strncmp(full, below, strlen(below))) return 0;
    int n = ++count;
    if (!at || n < at || n - at > more_failing) return 0;
    snprintf(last, sizeof last, "%s %.*s", call, PATH_MAX, full);
    errno = failing;
    return 1;
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, #name))
#define CALL(name, result, folder, path, parameters, types, arguments)     \
    result name parameters {                                              \
        static result(*real) types;                                       \
        if (!real) real = REAL(result(*) types, name);                    \
        return fails(#name, folder, path) ? (result)-1 : real arguments;  \
    }

#define OPEN(name, folder, parameters, types, ...)                        \
    int name parameters {                                                 \
        static int(*real) types;                                          \
        mode_t mode = 0;                                                  \
        if (!real) real = REAL(int(*) types, name);                       \
        if (flags & (O_CREAT | __O_TMPFILE)) {                            \
            va_list rest;                                                 \
            va_start(rest, flags);                                        \
            mode = va_arg(rest, mode_t);                                  \
            va_end(rest);                                                 \
        }                                                                 \
        return fails("open", folder, path) ? -1 : real(__VA_ARGS__, mode); \
    }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (const char *, int, ...), path, flags)
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (const char *, int, ...), path, flags)
OPEN(openat, folder, (int folder, const char *path, int flags, ...), (int, const char *, int, ...), folder, path, flags)
OPEN(openat64, folder, (int folder, const char *path, int flags, ...), (int, const char *, int, ...), folder, path, flags)

CALL(write, ssize_t, file, NULL, (int file, const void *data, size_t size), (int, const void *, size_t), (file, data, size))
CALL(pwrite, ssize_t, file, NULL, (int file, const void *data, size_t size, off_t place),
     (int, const void *, size_t, off_t), (file, data, size, place))
CALL(pwrite64, ssize_t, file, NULL, (int file, const void *data, size_t size, off64_t place),
     (int, const void *, size_t, off64_t), (file, data, size, place))
CALL(writev, ssize_t, file, NULL, (int file, const struct iovec *parts, int number), (int, const struct iovec *, int),
     (file, parts, number))
CALL(copy_file_range, ssize_t, into, NULL,
     (int from, off64_t *start, int into, off64_t *place, size_t size, unsigned flags),
     (int, off64_t *, int, off64_t *, size_t, unsigned), (from, start, into, place, size, flags))
CALL(sendfile, ssize_t, into, NULL, (int into, int from, off_t *start, size_t size), (int, int, off_t *, size_t),
     (into, from, start, size))
CALL(sendfile64, ssize_t, into, NULL, (int into, int from, off64_t *start, size_t size), (int, int, off64_t *, size_t),
     (into, from, start, size))
CALL(ftruncate, int, file, NULL, (int file, off_t size), (int, off_t), (file, size))
CALL(ftruncate64, int, file, NULL, (int file, off64_t size), (int, off64_t), (file, size))
CALL(fsync, int, file, NULL, (int file), (int), (file))
CALL(fdatasync, int, file, NULL, (int file), (int), (file))
/* An unlock does not fail: the lock ends with its process. */
int flock(int file, int operation) {
    static int (*real)(int, int);
    if (!real) real = REAL(int (*)(int, int), flock);
    return operation != LOCK_UN && fails("flock", file, NULL) ? -1 : real(file, operation);
}
CALL(rename, int, AT_FDCWD, path, (const char *path, const char *target), (const char *, const char *), (path, target))
CALL(renameat, int, folder, path, (int folder, const char *path, int other, const char *target),
     (int, const char *, int, const char *), (folder, path, other, target))
CALL(link, int, AT_FDCWD, target, (const char *path, const char *target), (const char *, const char *), (path, target))
CALL(linkat, int, other, target, (int folder, const char *path, int other, const char *target, int flags),
     (int, const char *, int, const char *, int), (folder, path, other, target, flags))
CALL(symlink, int, AT_FDCWD, path, (const char *target, const char *path), (const char *, const char *), (target, path))
CALL(symlinkat, int, folder, path, (const char *target, int folder, const char *path), (const char *, int, const char *),
     (target, folder, path))
CALL(mkdir, int, AT_FDCWD, path, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))
CALL(mkdirat, int, folder, path, (int folder, const char *path, mode_t mode), (int, const char *, mode_t),
     (folder, path, mode))
CALL(unlink, int, AT_FDCWD, path, (const char *path), (const char *), (path))
CALL(unlinkat, int, folder, path, (int folder, const char *path, int flags), (int, const char *, int),
     (folder, path, flags))
CALL(rmdir, int, AT_FDCWD, path, (const char *path), (const char *), (path))
CALL(chmod, int, AT_FDCWD, path, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))

#define LOCK(name)                                                                                         \
    int name(int file, int command, ...) {                                                                 \
        static int (*real)(int, int, ...);                                                                 \
        va_list rest;                                                                                      \
        if (!real) real = REAL(int (*)(int, int, ...), name);                                              \
        va_start(rest, command);                                                                           \
        void *argument = va_arg(rest, void *);                                                             \
        va_end(rest);                                                                                      \
        int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK;                   \
        return locks && fails("fcntl", file, NULL) ? -1 : real(file, command, argument);                   \
    }
LOCK(fcntl)
LOCK(fcntl64)
