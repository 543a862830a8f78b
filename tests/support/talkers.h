/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talkers (canary/agent/talker.h) as a test has to do with them: those of an agent
 * that it started, and what one of its own may say.
 */
#ifndef BL_TESTS_TALKERS_H
#define BL_TESTS_TALKERS_H

#include <sys/types.h>

/* The child of @parent that is a talker; 0: there is none. */
pid_t talkers_child(pid_t parent);

/* Waits until there is no such process. */
void talkers_gone(pid_t pid);

/*
 * Files in @dir that hold one message each, which a script writes to the pair:
 * hello, ask, note, apply and rollback (of the bundle @digest), fetched, none (of
 * metadata), and newer, of another version of the format.
 */
void talkers_messages(const char *dir, const char *digest);

/* Scripts for such a folder, each what somebody has made of the talker. */
#define TALKERS_EVIL 7
extern const char *const talkers_evil[TALKERS_EVIL];

#endif
