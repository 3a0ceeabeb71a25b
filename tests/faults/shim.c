/*
 * Faults for the real binary, without touching it: loaded by LD_PRELOAD, this stands between the bridge and the C library and lets
 * system calls fail, take long, tear, or be the last thing that the process ever did.
 *
 * What is to happen stands in a control file (named by FAULT_CONTROL, written by harness/shim.rs, mapped shared): rules can be changed while
 * the bridge runs, and what became of them can be read after it was killed. A rule:
 *
 *   active   0: not looked at. Written last, so that a rule is seen whole or not at all.
 *   call     which calls it is about (enum call)
 *   action   what happens (enum action), with `value`: an errno, milliseconds, or a port
 *   skip     so many matching calls pass first
 *   times    so many are hit then; 0: all
 *   seen     matching calls so far; hit: how many of them were hit (both written here)
 *   path     fnmatch(3) pattern for the file ("*" crosses "/"); a socket's is "socket:[…]", that of connect the "address:port"
 *   thread   fnmatch(3) pattern for the name of the calling thread
 *
 * Besides: `clock` is added to the wall clock (nanoseconds), for every way in which the bridge and librdkafka ask for it, and waits that end
 * at a time of the wall clock notice that it moved, as they would if the system's clock had.
 *
 * Not intercepted, because nothing in the bridge needs it: reads other than pread, mmap, io_uring.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum call { OPEN = 1, READ, WRITE, SYNC, RESERVE, TRUNCATE, RENAME, UNLINK, CONNECT, SEND, TIMES, LOCK, ANY = 255 };
enum action { FAIL = 1, DELAY, KILL_BEFORE, KILL_AFTER, TEAR_AND_KILL, FAIL_AFTER, TEAR_AND_FAIL, LIE, LEAD };

#define RULES 16

struct rule {
    _Atomic uint32_t active;
    uint32_t call, action;
    int32_t value;
    uint64_t skip, times;
    _Atomic uint64_t seen, hit;
    char path[184];
    char thread[32];
};

struct control {
    _Atomic int64_t clock;
    uint64_t reserved;
    struct rule rules[RULES];
};

_Static_assert(sizeof(struct rule) == 264, "harness/shim.rs writes rules of 264 bytes");

static struct control *control;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("FAULT_CONTROL");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) {
        static const char text[] = "shim: FAULT_CONTROL names no control file\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        _exit(70);
    }
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        _exit(70);
    control = map;
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static int wanted(const struct rule *rule, enum call call)
{
    return atomic_load(&rule->active) && (rule->call == (uint32_t)call || rule->call == ANY);
}

/* Whether any rule is about such calls: only then is it worth asking for the file's name. */
static int any(enum call call)
{
    if (!control)
        return 0;
    for (int i = 0; i < RULES; i++)
        if (wanted(&control->rules[i], call))
            return 1;
    return 0;
}

/* The rule whose turn it is with this call, counted. */
static const struct rule *hit(enum call call, const char *path)
{
    char thread[32] = "";
    prctl(PR_GET_NAME, thread);
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &control->rules[i];
        if (!wanted(rule, call) || fnmatch(rule->path, path, 0) || fnmatch(rule->thread, thread, 0))
            continue;
        uint64_t seen = atomic_fetch_add(&rule->seen, 1);
        if (seen < rule->skip || (rule->times && seen >= rule->skip + rule->times))
            continue;
        atomic_fetch_add(&rule->hit, 1);
        return rule;
    }
    return NULL;
}

static const struct rule *hit_fd(enum call call, int fd)
{
    char link[64], path[4096];
    if (!any(call))
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    return hit(call, path);
}

static const struct rule *hit_path(enum call call, const char *path)
{
    return any(call) ? hit(call, path) : NULL;
}

/* Before the call. Whether it is to be left out, as failed. */
static int before(const struct rule *rule)
{
    if (!rule)
        return 0;
    switch (rule->action) {
    case KILL_BEFORE:
        die();
        break;
    case DELAY: {
        struct timespec left = { rule->value / 1000, (rule->value % 1000) * 1000000L };
        while (nanosleep(&left, &left) && errno == EINTR) {
        }
        break;
    }
    case FAIL:
        errno = rule->value;
        return 1;
    }
    return 0;
}

/* Whether the call is to be left out, as done. Only a sync can be: of others something is seen. */
static int lies(const struct rule *rule)
{
    return rule && rule->action == LIE;
}

/* After the call: what is to be returned. */
static long after(const struct rule *rule, long result)
{
    if (rule && (rule->action == KILL_AFTER || rule->action == TEAR_AND_KILL))
        die();
    if (rule && (rule->action == FAIL_AFTER || rule->action == TEAR_AND_FAIL)) {
        errno = rule->value;
        return -1;
    }
    return result;
}

static int tears(const struct rule *rule)
{
    return rule && (rule->action == TEAR_AND_KILL || rule->action == TEAR_AND_FAIL);
}

#define REAL(type, name, ...)                        \
    static type (*real)(__VA_ARGS__);                \
    if (!real)                                       \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* open: straight to the kernel, which saves telling apart the C library's four names for it. */
static int do_open(int dir, const char *path, int flags, mode_t mode)
{
    const struct rule *rule = hit_path(OPEN, path);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_openat, dir, path, flags, mode));
}

#define OPEN_MODE(flags)                               \
    mode_t mode = 0;                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {             \
        va_list rest;                                  \
        va_start(rest, flags);                         \
        mode = (mode_t)va_arg(rest, int);              \
        va_end(rest);                                  \
    }

int open(const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { OPEN_MODE(flags) return do_open(dir, path, flags, mode); }

ssize_t pread64(int fd, void *buffer, size_t length, off64_t at)
{
    const struct rule *rule = hit_fd(READ, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_pread64, fd, buffer, length, at));
}
ssize_t pread(int fd, void *buffer, size_t length, off_t at) { return pread64(fd, buffer, length, at); }

ssize_t pwrite64(int fd, const void *buffer, size_t length, off64_t at)
{
    const struct rule *rule = hit_fd(WRITE, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_pwrite64, fd, buffer, tears(rule) ? length / 2 : length, at));
}
ssize_t pwrite(int fd, const void *buffer, size_t length, off_t at) { return pwrite64(fd, buffer, length, at); }

/* Standard error, among others: a pipe is "pipe:[…]". */
ssize_t write(int fd, const void *buffer, size_t length)
{
    const struct rule *rule = hit_fd(WRITE, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_write, fd, buffer, tears(rule) ? length / 2 : length));
}

int fdatasync(int fd)
{
    const struct rule *rule = hit_fd(SYNC, fd);
    if (before(rule))
        return -1;
    return lies(rule) ? 0 : (int)after(rule, syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
    const struct rule *rule = hit_fd(SYNC, fd);
    if (before(rule))
        return -1;
    return lies(rule) ? 0 : (int)after(rule, syscall(SYS_fsync, fd));
}

int fallocate64(int fd, int mode, off64_t at, off64_t length)
{
    const struct rule *rule = hit_fd(RESERVE, fd);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_fallocate, fd, mode, at, length));
}
int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate64(fd, mode, at, length); }

int ftruncate64(int fd, off64_t length)
{
    const struct rule *rule = hit_fd(TRUNCATE, fd);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_ftruncate, fd, length));
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int futimens(int fd, const struct timespec times[2])
{
    const struct rule *rule = hit_fd(TIMES, fd);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_utimensat, fd, NULL, times, 0));
}

int flock(int fd, int operation)
{
    const struct rule *rule = hit_fd(LOCK, fd);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_flock, fd, operation));
}

/* A rename is matched by its target. */
int rename(const char *from, const char *to)
{
    const struct rule *rule = hit_path(RENAME, to);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char *path)
{
    const struct rule *rule = hit_path(UNLINK, path);
    if (before(rule))
        return -1;
    return (int)after(rule, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct rule *rule = NULL;
    if (any(CONNECT) && address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        char text[64], host[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, sizeof text, "%s:%u", host, ntohs(in->sin_port));
        rule = hit(CONNECT, text);
    }
    if (before(rule))
        return -1;
    if (rule && rule->action == LEAD) {
        /* The same host, another port: the caller is led to whoever stands in between. */
        struct sockaddr_in other = *(const struct sockaddr_in *)address;
        other.sin_port = htons((uint16_t)rule->value);
        return (int)syscall(SYS_connect, fd, &other, sizeof other);
    }
    return (int)after(rule, syscall(SYS_connect, fd, address, length));
}

/* What goes to a socket: send and its like; librdkafka uses sendmsg, the HTTP server send or writev. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    const struct rule *rule = hit_fd(SEND, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_sendmsg, fd, message, flags));
}

ssize_t send(int fd, const void *buffer, size_t length, int flags)
{
    const struct rule *rule = hit_fd(SEND, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_sendto, fd, buffer, length, flags, NULL, 0));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    const struct rule *rule = hit_fd(SEND, fd);
    if (before(rule))
        return -1;
    return after(rule, syscall(SYS_writev, fd, parts, count));
}

/* The wall clock. */
static int64_t offset(void)
{
    return control ? atomic_load(&control->clock) : 0;
}

static void shift(struct timespec *time, int64_t by)
{
    int64_t nanos = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + by;
    time->tv_sec = nanos / 1000000000;
    time->tv_nsec = nanos % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        shift(now, offset());
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec time;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &time))
        return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    if (now)
        *now = spec.tv_sec;
    return spec.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    if (base != TIME_UTC)
        return 0;
    clock_gettime(CLOCK_REALTIME, now);
    return base;
}

/*
 * A wait until a time of the (shifted) wall clock. The kernel would notice that its clock was set; here the wait is cut into pieces, and ends
 * with each of them as if by chance, which every caller of a condition variable must be ready for.
 */
static int piece(const struct timespec *deadline, struct timespec *until)
{
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    struct timespec now, real_deadline = *deadline;
    real(CLOCK_REALTIME, &now);
    shift(&real_deadline, -offset());
    *until = now;
    shift(until, 100 * 1000000);
    if (real_deadline.tv_sec < until->tv_sec ||
        (real_deadline.tv_sec == until->tv_sec && real_deadline.tv_nsec <= until->tv_nsec)) {
        *until = real_deadline;
        return 1;
    }
    return 0;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *deadline)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real)
        real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlvsym(
            RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real)
        real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(
            RTLD_NEXT, "pthread_cond_timedwait");
    /* The kind of clock is the condition's own: only with a shifted wall clock is it guessed, from the deadline's size. */
    if (!offset() || deadline->tv_sec < 1000000000)
        return real(condition, mutex, deadline);
    struct timespec until;
    int last = piece(deadline, &until);
    int result = real(condition, mutex, &until);
    return result == ETIMEDOUT && !last ? 0 : result;
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict deadline)
{
    REAL(int, "cnd_timedwait", cnd_t *, mtx_t *, const struct timespec *);
    struct timespec until;
    int last = piece(deadline, &until);
    int result = real(condition, mutex, &until);
    return result == thrd_timedout && !last ? thrd_success : result;
}
