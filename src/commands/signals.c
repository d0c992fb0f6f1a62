/* Signals. What runs in a handler calls only async-signal-safe functions. */
#include "signals.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../toto.h"

/* Removes what is unfinished, then dies of the same signal, so that a shell sees what happened. */
static void stop(int signal_number)
{
    toto_writer_unlink_all();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void write_text(const char *text)
{
    size_t length = strlen(text);
    if (write(STDERR_FILENO, text, length) < 0)
        return; /* nobody listens, and the process ends anyway */
}

static void mapping_lost(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    const char *path = toto_mapped_path(info->si_addr);
    if (!path) {
        stop(signal_number);
        return;
    }
    /* Several threads may read there at once: the first one tells, the others wait for its exit. */
    static volatile sig_atomic_t told;
    if (__atomic_exchange_n(&told, 1, __ATOMIC_ACQ_REL))
        for (;;)
            pause();
    toto_writer_unlink_all();
    write_text("toto: ");
    write_text(path);
    write_text(": the file was cut short while it was mapped\n");
    _exit(TOTO_STATUS_IO);
}

void signals_install(void)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction action = {0};
    struct sigaction before;

    sigemptyset(&action.sa_mask);
    action.sa_handler = stop;
    action.sa_flags = SA_NODEFER; /* raise() inside the handler must take effect there */
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        /* nohup and shells' background jobs ignore signals for their children; a closed pipe ends us
         * whatever the parent does about it. */
        if (stops[i] != SIGPIPE && sigaction(stops[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
            continue;
        sigaction(stops[i], &action, NULL);
    }
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit of its size is an error of write() instead */
    action.sa_sigaction = mapping_lost;
    action.sa_flags = SA_NODEFER | SA_SIGINFO;
    sigaction(SIGBUS, &action, NULL);
}

void signals_hold_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free descriptor is fd itself; opened the wrong way round, so its use is an error. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
    }
}
