/*
 * Logs what a process does to the files under one folder, so that the state after a loss of power can
 * be worked out. Preloaded with LD_PRELOAD; see src/powercut/ for the reader.
 *
 *   POWERCUT_ROOT   the folder, as an absolute path without symbolic links
 *   POWERCUT_LOG    where records are appended
 *
 * A record is written after its operation succeeded and before the caller hears of it, under one lock, so
 * that records come in the order of the operations. A sync has two: what was written before the first
 * is on the disk after the second.
 *
 *   0    1     4       8      16       24          32          40
 *   kind  0..  flags   inode  offset   length a    length b    a ... b ...
 *
 *   'O' opened: a path, flags CREATED, TRUNCATED, FOLDER      'W' written: offset, b data
 *   'T' cut or extended to offset                             'G' extended to offset if shorter
 *   'Z' zeroed from offset, length in b's place               'B' sync began, 'E' sync ended: token in offset
 *   'D' folder made: a path                                   'U' unlinked or removed: a path
 *   'R' renamed: a from, b to                                 'L' linked: b path
 *   'S' symbolic link: a path, b target
 *
 * What cannot be followed (writable shared mappings, O_DSYNC, copies inside the kernel) ends the process
 * with a message: a log with holes would prove nothing. System calls that pass by libc are not seen;
 * a file made so is noticed when it is written to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <limits.h>
#include <linux/falloc.h>
#include <unistd.h>

enum { CREATED = 1, TRUNCATED = 2, FOLDER = 4 };
enum { KNOWN = 1 << 16 };

struct record {
    char kind;
    char zero[3];
    uint32_t flags;
    uint64_t inode, offset, length_a, length_b;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static dev_t device;
static int log_fd = -1;
static uint64_t known[KNOWN]; /* inodes that the log has named; open addressing */
static uint64_t tokens;

static void die(const char *what, const char *path) {
    dprintf(2, "powercut: cannot follow %s of %s\n", what, path ? path : "a file");
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("POWERCUT_ROOT"), *log = getenv("POWERCUT_LOG");
    struct stat stat;
    if (!folder || !log || strlen(folder) >= sizeof root) return;
    strcpy(root, folder);
    root_length = strlen(root);
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0 || lstat(root, &stat) != 0) die("the log or folder", log);
    device = stat.st_dev;
}

/* Where an inode is, or the free place for it. */
static uint64_t *place_of(uint64_t inode) {
    uint64_t at = inode * 0x9e3779b97f4a7c15u >> 48;
    for (int tries = 0; tries < KNOWN; tries++, at = (at + 1) % KNOWN)
        if (known[at] == inode || known[at] == 0) return &known[at];
    die("so many files", NULL);
    return NULL;
}

/* Forgets an inode that may be used again; those behind it move up. */
static void forget(uint64_t inode) {
    uint64_t *place = place_of(inode);
    if (*place != inode) return;
    *place = 0;
    for (uint64_t at = (place - known + 1) % KNOWN; known[at]; at = (at + 1) % KNOWN) {
        uint64_t moved = known[at];
        known[at] = 0;
        *place_of(moved) = moved;
    }
}

static void put(char kind, uint32_t flags, uint64_t inode, uint64_t offset, const char *a,
                size_t length_a, const void *b, size_t length_b) {
    struct record record = {kind, {0}, flags, inode, offset, length_a, length_b};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *)a, length_a}, {(void *)b, b ? length_b : 0}};
    ssize_t all = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
    if (syscall(SYS_writev, log_fd, parts, 3) != all) die("a log that cannot be written", NULL);
}

static int is_inside(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The path of a descriptor; false when it is not under the folder, or removed. */
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *deleted = " (deleted)";
    size_t tail = strlen(deleted);
    if ((size_t)length > tail && strcmp(path + length - tail, deleted) == 0) return 0;
    return is_inside(path);
}

/* The absolute path of a name, its folder without symbolic links; false when it is outside. */
static int absolute(int dirfd, const char *name, char *path) {
    char joined[2 * PATH_MAX], folder[PATH_MAX];
    if (log_fd < 0 || !name) return 0;
    if (name[0] == '/') {
        snprintf(joined, sizeof joined, "%s", name);
    } else {
        char link[64];
        snprintf(link, sizeof link, dirfd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dirfd);
        ssize_t length = readlink(link, folder, sizeof folder - 1);
        if (length < 0) return 0;
        folder[length] = 0;
        snprintf(joined, sizeof joined, "%s/%s", folder, name);
    }
    size_t length = strlen(joined);
    while (length > 1 && joined[length - 1] == '/') joined[--length] = 0;
    char *slash = strrchr(joined, '/');
    if (!slash) return 0;
    *slash = 0;
    int saved = errno;
    int found = realpath(slash == joined ? "/" : joined, folder) != NULL;
    errno = saved;
    if (!found || strlen(folder) + strlen(slash + 1) + 2 > PATH_MAX) return 0;
    sprintf(path, "%s/%s", strcmp(folder, "/") ? folder : "", slash + 1);
    return is_inside(path);
}

/* Names an open file or folder in the log if it was not yet; its inode, or 0 when it is none of ours. */
static uint64_t inode_of(int fd, uint32_t flags) {
    struct stat stat;
    char path[PATH_MAX];
    int saved = errno;
    uint64_t inode = 0;
    if (log_fd >= 0 && fstat(fd, &stat) == 0 && stat.st_dev == device &&
        (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))) {
        uint64_t *place = place_of(stat.st_ino);
        if (*place == stat.st_ino && !flags) {
            inode = stat.st_ino;
        } else if (path_of(fd, path)) {
            *place = inode = stat.st_ino;
            put('O', flags | (S_ISDIR(stat.st_mode) ? FOLDER : 0), inode, 0, path, strlen(path), NULL, 0);
        }
    }
    errno = saved;
    return inode;
}


static int do_open(int dirfd, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat stat;
    int changes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (log_fd < 0 || !changes || !absolute(dirfd, name, path))
        return syscall(SYS_openat, dirfd, name, flags, mode);
    if (flags & O_DSYNC) die("O_DSYNC or O_SYNC", path);
    if ((flags & O_TMPFILE) == O_TMPFILE) die("O_TMPFILE", path);
    pthread_mutex_lock(&lock);
    int saved = errno;
    int existed = fstatat(dirfd, name, &stat, 0) == 0;
    errno = saved;
    int fd = syscall(SYS_openat, dirfd, name, flags, mode);
    if (fd >= 0) inode_of(fd, existed ? (flags & O_TRUNC ? TRUNCATED : 0) : CREATED);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(last)                                       \
    mode_t mode = 0;                                     \
    if (flags & (O_CREAT | O_TMPFILE)) {                 \
        va_list arguments;                               \
        va_start(arguments, last);                       \
        mode = va_arg(arguments, mode_t);                \
        va_end(arguments);                               \
    }

int open(const char *name, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, name, flags, mode); }
int openat(int dirfd, const char *name, int flags, ...) { MODE(flags) return do_open(dirfd, name, flags, mode); }
int openat64(int dirfd, const char *name, int flags, ...) { MODE(flags) return do_open(dirfd, name, flags, mode); }
int __open_2(const char *name, int flags) { return do_open(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return do_open(AT_FDCWD, name, flags, 0); }
int __openat_2(int dirfd, const char *name, int flags) { return do_open(dirfd, name, flags, 0); }
int __openat64_2(int dirfd, const char *name, int flags) { return do_open(dirfd, name, flags, 0); }
int creat(const char *name, mode_t mode) { return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Where an appending or a plain write began, after it. */
static uint64_t began_at(int fd, ssize_t written) {
    return lseek(fd, 0, SEEK_CUR) - written;
}

static ssize_t do_write(int fd, const struct iovec *parts, int count, int positioned, off_t offset) {
    struct stat stat;
    if (log_fd < 0 || fd == log_fd || fstat(fd, &stat) != 0 || stat.st_dev != device || !S_ISREG(stat.st_mode))
        return positioned ? syscall(SYS_pwritev, fd, parts, count, offset, 0) : syscall(SYS_writev, fd, parts, count);
    pthread_mutex_lock(&lock);
    uint64_t inode = inode_of(fd, 0);
    ssize_t written = positioned ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
                                 : syscall(SYS_writev, fd, parts, count);
    int saved = errno;
    if (inode && written > 0) {
        uint64_t at = positioned ? (uint64_t)offset : began_at(fd, written);
        size_t left = written;
        for (int i = 0; i < count && left; i++) {
            size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
            put('W', 0, inode, at, NULL, 0, parts[i].iov_base, length);
            at += length, left -= length;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return written;
}

ssize_t write(int fd, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    return do_write(fd, &part, 1, 0, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    struct iovec part = {(void *)data, length};
    return do_write(fd, &part, 1, 1, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return do_write(fd, parts, count, 0, 0); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) { return do_write(fd, parts, count, 1, offset); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return do_write(fd, parts, count, 1, offset); }

/* Copies inside the kernel, when they write to a file of ours. */
static void refuse(int fd, const char *what) {
    pthread_mutex_lock(&lock);
    if (inode_of(fd, 0)) die(what, NULL);
    pthread_mutex_unlock(&lock);
}
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    refuse(out, "copy_file_range");
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t length) {
    refuse(out, "sendfile");
    return syscall(SYS_sendfile, out, in, offset, length);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t length) { return sendfile64(out, in, offset, length); }

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED) refuse(fd, "a writable mapping");
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return mmap64(address, length, protection, flags, fd, offset);
}

static int do_truncate(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    uint64_t inode = inode_of(fd, 0);
    int done = syscall(SYS_ftruncate, fd, length);
    if (done == 0 && inode) put('T', 0, inode, length, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t length) { return do_truncate(fd, length); }
int ftruncate64(int fd, off_t length) { return do_truncate(fd, length); }

static int do_fallocate(int fd, int mode, off_t offset, off_t length) {
    pthread_mutex_lock(&lock);
    uint64_t inode = inode_of(fd, 0);
    if (inode && mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) die("fallocate", NULL);
    int done = syscall(SYS_fallocate, fd, mode, offset, length);
    if (done == 0 && inode && mode == 0) put('G', 0, inode, offset + length, NULL, 0, NULL, 0);
    if (done == 0 && inode && mode & FALLOC_FL_PUNCH_HOLE) put('Z', 0, inode, offset, NULL, 0, NULL, length);
    pthread_mutex_unlock(&lock);
    return done;
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return do_fallocate(fd, mode, offset, length); }
int fallocate64(int fd, int mode, off_t offset, off_t length) { return do_fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return do_fallocate(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off_t offset, off_t length) { return do_fallocate(fd, 0, offset, length) ? errno : 0; }

static int do_sync(int fd, long call) {
    pthread_mutex_lock(&lock);
    uint64_t inode = inode_of(fd, 0), token = ++tokens;
    if (inode) put('B', 0, inode, token, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    int done = syscall(call, fd);
    if (done != 0 || !inode) return done;
    pthread_mutex_lock(&lock);
    put('E', 0, inode, token, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int mkdirat(int dirfd, const char *name, mode_t mode) {
    char path[PATH_MAX];
    struct stat stat;
    int inside = absolute(dirfd, name, path);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_mkdirat, dirfd, name, mode);
    if (done == 0 && inside && lstat(path, &stat) == 0) {
        *place_of(stat.st_ino) = stat.st_ino;
        put('D', 0, stat.st_ino, 0, path, strlen(path), NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int dirfd, const char *name, int flags) {
    char path[PATH_MAX];
    int inside = absolute(dirfd, name, path);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int saved = errno;
    int is_last = inside && lstat(path, &stat) == 0 && (S_ISDIR(stat.st_mode) || stat.st_nlink == 1);
    errno = saved;
    int done = syscall(SYS_unlinkat, dirfd, name, flags);
    if (done == 0 && inside) {
        if (is_last) forget(stat.st_ino);
        put('U', 0, 0, 0, path, strlen(path), NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
    char a[PATH_MAX], b[PATH_MAX];
    int inside_a = absolute(from_fd, from, a), inside_b = absolute(to_fd, to, b);
    if (inside_a != inside_b) die("a rename into or out of the folder", inside_a ? a : b);
    if (inside_a && flags & ~1u) die("such a rename", a);
    pthread_mutex_lock(&lock);
    struct stat stat;
    int saved = errno;
    int replaces = inside_b && lstat(b, &stat) == 0 && (S_ISDIR(stat.st_mode) || stat.st_nlink == 1);
    errno = saved;
    int done = syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (done == 0 && inside_a) {
        if (replaces) forget(stat.st_ino);
        put('R', 0, 0, 0, a, strlen(a), b, strlen(b));
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) { return renameat2(from_fd, from, to_fd, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    char a[PATH_MAX], b[PATH_MAX];
    int inside_a = absolute(from_fd, from, a), inside_b = absolute(to_fd, to, b);
    if (inside_b && !inside_a) die("a link into the folder", b);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    if (done == 0 && inside_b) put('L', 0, 0, 0, a, strlen(a), b, strlen(b));
    pthread_mutex_unlock(&lock);
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dirfd, const char *name) {
    char path[PATH_MAX];
    int inside = absolute(dirfd, name, path);
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_symlinkat, target, dirfd, name);
    if (done == 0 && inside) put('S', 0, 0, 0, path, strlen(path), target, strlen(target));
    pthread_mutex_unlock(&lock);
    return done;
}
int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

/* A truncation by path is one by descriptor. */
int truncate(const char *name, off_t length) {
    int fd = do_open(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    int done = do_truncate(fd, length);
    close(fd);
    return done;
}
int truncate64(const char *name, off_t length) { return truncate(name, length); }
