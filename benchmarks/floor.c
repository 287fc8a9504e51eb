/* The floors: what each piece of work costs at least, as the same system calls and nothing else.
 *
 * Built as a library, whose functions do a piece of work so many times within a benchmark's own process, and as a
 * program, for comparisons of whole processes:
 *
 *     floor survey FOLDER...    open, look at, read both ends of, and close every file below; prints how many
 *     floor move FROM TO NAMES  move files of a folder to another one; their names are the lines of a file
 *     floor renew FOLDER        replace every file of a folder by a durable copy; prints how many
 *
 * Functions return how often they did it, or -1. None of them checks anything that was not asked for.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SURVEY_WINDOW 4096 /* a page at each end */
#define WINDOW 8192        /* as store/edges.py reads it */
#define SESSION (O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)

static long long bytes_read;

/* Both ends of every file below a folder, which is closed; our own folder is passed over as the toolkit does. */
static long survey_in(int at) {
    DIR *folder = fdopendir(at);
    if (!folder) return 0;
    char buffer[SURVEY_WINDOW];
    long files = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        int fd = openat(at, entry->d_name, SESSION);
        if (fd < 0) continue;
        struct stat found;
        if (!fstat(fd, &found)) {
            if (S_ISDIR(found.st_mode)) {
                files += survey_in(fd);
                continue;
            }
            bytes_read += pread(fd, buffer, sizeof buffer, 0);
            off_t tail = found.st_size - (off_t)sizeof buffer;
            bytes_read += pread(fd, buffer, sizeof buffer, tail > 0 ? tail : 0);
        }
        close(fd);
        files++;
    }
    closedir(folder);
    return files;
}

long survey(const char *path) {
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return at < 0 ? -1 : survey_in(at);
}

/* The ends of one file, again and again. */
long ends(int folder, const char *name, long times) {
    char buffer[WINDOW];
    for (long i = 0; i < times; i++) {
        int fd = openat(folder, name, SESSION);
        struct stat found;
        if (fd < 0 || fstat(fd, &found)) return -1;
        if (pread(fd, buffer, WINDOW, 0) < 0) return -1;
        if (found.st_size > WINDOW && pread(fd, buffer, WINDOW, found.st_size - WINDOW) < 0) return -1;
        close(fd);
    }
    return times;
}

/* What the recorder of rec says of itself: its three files, each looked at and read. */
long state(int folder, long times) {
    static const char *const names[] = {"recording.lock", "recording.json", "pending.json"};
    char buffer[WINDOW];
    for (long i = 0; i < times; i++) {
        for (int each = 0; each < 3; each++) {
            struct stat found;
            int fd = openat(folder, names[each], SESSION);
            if (fd < 0) continue;
            if (fstat(fd, &found) || read(fd, buffer, sizeof buffer) < 0) return -1;
            close(fd);
        }
    }
    return times;
}

long probe(int fd, long times) {
    for (long i = 0; i < times; i++) {
        if (fcntl(fd, F_SETLEASE, F_RDLCK)) return -1;
        if (fcntl(fd, F_SETLEASE, F_UNLCK)) return -1;
    }
    return times;
}

/* Take and free both locks of a store: that of the root folder, and that of a file in it. */
long lock(int root, const char *name, long times) {
    for (long i = 0; i < times; i++) {
        int folder = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB)) return -1;
        int file = openat(root, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file < 0 || flock(file, LOCK_EX | LOCK_NB)) return -1;
        close(file);
        close(folder);
    }
    return times;
}

static const char *numbered(char *name, size_t size, long number) {
    snprintf(name, size, "%ld.ndjson", number);
    return name;
}

/* Move 0.ndjson to (times - 1).ndjson, each looked at before and after while a lease tells of writers. */
long move(int from, int to, long times) {
    char name[32];
    struct stat found;
    for (long i = 0; i < times; i++) {
        int fd = openat(from, numbered(name, sizeof name, i), SESSION);
        if (fd < 0 || fcntl(fd, F_SETLEASE, F_RDLCK)) return -1;
        if (fstat(fd, &found) || fstat(from, &found)) return -1;
        if (renameat2(from, name, to, name, RENAME_NOREPLACE)) return -1;
        if (fstatat(to, name, &found, AT_SYMLINK_NOFOLLOW) || fstat(fd, &found)) return -1;
        if (fcntl(fd, F_GETLEASE) != F_RDLCK || fcntl(fd, F_SETLEASE, F_UNLCK)) return -1;
        close(fd);
    }
    return times;
}

/* Replace 0.ndjson to (times - 1).ndjson by new bytes, durably, and keep a backup of each. */
long rewrite(int from, int tmp, int backup, const char *data, long size, long times) {
    char name[32], link[48];
    for (long i = 0; i < times; i++) {
        struct stat found;
        int old = openat(from, numbered(name, sizeof name, i), SESSION);
        if (old < 0 || fstat(old, &found) || fcntl(old, F_SETLEASE, F_RDLCK)) return -1;
        int new = openat(tmp, name, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (new < 0 || write(new, data, size) != size) return -1;
        struct timespec times_of[2] = {found.st_atim, found.st_mtim};
        flistxattr(old, NULL, 0);
        if (fchmod(new, found.st_mode & 07777) || futimens(new, times_of) || fsync(new)) return -1;
        snprintf(link, sizeof link, "/proc/self/fd/%d", old);
        if (linkat(from, link, backup, name, AT_SYMLINK_FOLLOW) || fsync(backup)) return -1;
        if (fcntl(old, F_GETLEASE) != F_RDLCK || fcntl(new, F_SETLEASE, F_WRLCK)) return -1;
        if (renameat2(tmp, name, from, name, RENAME_EXCHANGE)) return -1;
        if (fstatat(tmp, name, &found, AT_SYMLINK_NOFOLLOW) || fsync(from)) return -1;
        if (unlinkat(tmp, name, 0)) return -1;
        close(new);
        close(old);
    }
    return times;
}

static int move_named(const char *from, const char *to, const char *names) {
    char name[256];
    int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FILE *lines = fopen(names, "r");
    if (source < 0 || target < 0 || !lines) return 1;
    while (fgets(name, sizeof name, lines)) {
        name[strcspn(name, "\n")] = 0;
        if (renameat2(source, name, target, name, RENAME_NOREPLACE)) return 1;
    }
    return 0;
}

/* One bare durable rewrite: a temp file, written and on the disk, takes the place of another, and that is on the disk. */
static int renew_one(int folder, const char *name) {
    int old = openat(folder, name, SESSION);
    struct stat found;
    if (old < 0 || fstat(old, &found)) return -1;
    char *content = malloc(found.st_size + 1);
    if (!content || pread(old, content, found.st_size, 0) != found.st_size) return -1;
    int new = openat(folder, ".renewed", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (new < 0 || write(new, content, found.st_size) != found.st_size || fsync(new)) return -1;
    free(content);
    close(new);
    close(old);
    return renameat(folder, ".renewed", folder, name) || fsync(folder) ? -1 : 0;
}

static long renew(const char *path) {
    struct dirent **entries;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = scandirat(folder, ".", &entries, NULL, NULL);
    long files = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] == '.') continue;
        if (renew_one(folder, entries[i]->d_name)) return -1;
        files++;
    }
    return count < 0 ? -1 : files;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "renew")) {
        long files = renew(argv[2]);
        printf("%ld files\n", files);
        return files < 0;
    }
    if (argc == 5 && !strcmp(argv[1], "move")) return move_named(argv[2], argv[3], argv[4]);
    if (argc < 3 || strcmp(argv[1], "survey")) return 2;
    long files = 0;
    for (int i = 2; i < argc; i++) {
        long found = survey(argv[i]);
        if (found < 0) return 1;
        files += found;
    }
    printf("%ld files, %lld bytes\n", files, bytes_read);
    return 0;
}
