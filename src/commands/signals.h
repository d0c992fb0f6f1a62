/* Signals: a run that is stopped leaves no unfinished output. */
#ifndef TOTO_COMMANDS_SIGNALS_H
#define TOTO_COMMANDS_SIGNALS_H

/* From now on SIGINT, SIGTERM, SIGHUP and SIGPIPE remove the temporary outputs and end the process by
 * that signal (130, 143, 129, 141 to a shell), and a mapped model file that is cut short ends it with
 * one line and TOTO_STATUS_IO. Call it once, first of all. */
void signals_install(void);

/* Makes descriptors 0 to 2 stand for something, so that no file opened later is taken for them; those
 * that were closed fail when they are read or written. */
void signals_hold_streams(void);

#endif
