/* SPDX-License-Identifier: Apache-2.0 */
/* Files: old bytes or new, never a mixture; names that cannot leave a folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/main.h"

static char *dir, *path;
static struct bl_err err;

static void setup(void)
{
	dir = bl_test_tmpdir();
	path = bl_path("%s/file", dir);
	err = (struct bl_err){ 0 };
}

static void teardown(void)
{
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	ck_assert_int_ne(access(dir, F_OK), 0);
	free(dir);
	free(path);
}

static unsigned entries(const char *folder)
{
	bl_autoclosedir DIR *d = opendir(folder);
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	return n;
}

static void assert_file(const char *text)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(path, 1 << 20, &b, NULL), 0);
	ck_assert_str_eq(bl_buf_str(&b), text);
}

START_TEST(writes_with_the_mode_asked_for)
{
	struct stat st;

	umask(077);
	ck_assert_int_eq(bl_file_write(path, "one", 3, 0644, &err), 0);
	assert_file("one");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert_int_eq(bl_file_write(path, "two!", 4, 0600, &err), 0);
	assert_file("two!");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(entries(dir), 1);
}
END_TEST

/* A reader that holds the old file goes on reading the old bytes. */
START_TEST(replaces_and_never_overwrites)
{
	bl_autoclose int fd = -1;
	char old[4] = "";

	ck_assert_int_eq(bl_file_write(path, "old", 3, 0644, &err), 0);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(bl_file_write(path, "new", 3, 0644, &err), 0);
	ck_assert_int_eq(read(fd, old, 3), 3);
	ck_assert_str_eq(old, "old");
}
END_TEST

START_TEST(a_link_is_replaced_and_not_followed)
{
	bl_autofree char *target = bl_path("%s/target", dir);
	struct stat st;

	ck_assert_int_eq(bl_file_write(target, "safe", 4, 0644, &err), 0);
	ck_assert_int_eq(symlink("target", path), 0);
	ck_assert_int_eq(bl_file_write(path, "mine", 4, 0644, &err), 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(stat(target, &st), 0);
	ck_assert_int_eq(st.st_size, 4);
	assert_file("mine");
}
END_TEST

/* As root, "-o /dev/null" must not make a file of /dev/null. */
START_TEST(what_is_no_file_is_not_replaced)
{
	bl_autofree char *link = bl_path("%s/link", dir);
	struct stat st;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(symlink("file", link), 0);
	ck_assert_int_eq(bl_file_write(path, "x", 1, 0644, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(bl_file_write(link, "x", 1, 0644, &err), -EINVAL);
	ck_assert_int_eq(bl_file_write(dir, "x", 1, 0644, &err), -EISDIR);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISFIFO(st.st_mode));
	ck_assert_int_eq(lstat(link, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_uint_eq(entries(dir), 2);
}
END_TEST

/* The disk is full in the middle of the write, as the file size limit plays
 * it: the old bytes stay, and nothing is left beside them. */
START_TEST(a_failed_write_leaves_the_old_file_alone)
{
	const struct rlimit small = { 4096, 4096 };
	static char big[64 * 1024];

	ck_assert_int_eq(bl_file_write(path, "old", 3, 0644, &err), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(bl_file_write(path, big, sizeof(big), 0644, &err),
			 -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	assert_file("old");
	ck_assert_uint_eq(entries(dir), 1);
}
END_TEST

/* Killed at any moment: old or new, whole. */
START_TEST(killed_while_writing_leaves_old_or_new)
{
	static char text[2][256 * 1024];
	unsigned i;

	memset(text[0], 'a', sizeof(text[0]) - 1);
	memset(text[1], 'b', sizeof(text[1]) - 1);
	ck_assert_int_eq(bl_file_write(path, text[0], sizeof(text[0]) - 1, 0644,
				       NULL),
			 0);
	for (i = 0; i < 30; i++) {
		bl_autobuf struct bl_buf b = { 0 };
		pid_t pid = fork();

		if (pid == 0)
			for (unsigned k = 1;; k++)
				bl_file_write(path, text[k % 2],
					      sizeof(text[0]) - 1, 0644, NULL);
		ck_assert_int_gt(pid, 0);
		usleep(1000 + i * 500);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		ck_assert_int_eq(bl_file_read(path, 1 << 20, &b, NULL), 0);
		ck_assert(strcmp(b.data, text[0]) == 0 ||
			  strcmp(b.data, text[1]) == 0);
	}
}
END_TEST

START_TEST(reads_up_to_the_limit)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_write(path, "12345", 5, 0644, NULL), 0);
	ck_assert_int_eq(bl_buf_add(&b, "> ", 2), 0);
	ck_assert_int_eq(bl_file_read(path, 4, &b, &err), -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "limit of 4 bytes"));
	ck_assert_str_eq(b.data, "> ");
	ck_assert_int_eq(bl_file_read(path, 5, &b, &err), 0);
	ck_assert_str_eq(b.data, "> 12345");
}
END_TEST

START_TEST(reads_files_and_nothing_that_looks_like_one)
{
	bl_autobuf struct bl_buf b = { 0 };

	ck_assert_int_eq(bl_file_read(dir, 10, &b, &err), -EISDIR);
	ck_assert_int_eq(bl_file_read("/dev/null", 10, &b, &err), -EINVAL);
	ck_assert_int_eq(bl_file_read(path, 10, &b, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(bl_file_write(path, "", 0, 0644, NULL), 0);
	ck_assert_int_eq(bl_file_read(path, 10, &b, &err), 0);
	ck_assert_str_eq(bl_buf_str(&b), "");
}
END_TEST

START_TEST(makes_folders_and_refuses_a_file_in_their_place)
{
	bl_autofree char *deep = bl_path("%s/a//b/c/", dir);
	bl_autofree char *under = bl_path("%s/x", path);
	struct stat st;

	ck_assert_int_eq(bl_file_mkdirs(deep, 0750, &err), 0);
	ck_assert_int_eq(bl_file_mkdirs(deep, 0700, &err), 0);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0750);
	ck_assert_int_eq(bl_file_mkdirs("/", 0755, &err), 0);
	ck_assert_int_eq(bl_file_mkdirs("", 0755, &err), -ENOENT);
	ck_assert_int_eq(bl_file_write(path, "x", 1, 0644, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(path, 0755, &err), -ENOTDIR);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_int_eq(bl_file_mkdirs(under, 0755, &err), -ENOTDIR);
}
END_TEST

START_TEST(removes_a_link_and_not_what_it_points_to)
{
	bl_autofree char *inside = bl_path("%s/in", dir);
	bl_autofree char *link = bl_path("%s/in/link", dir);
	bl_autofree char *keep = bl_path("%s/keep", dir);
	bl_autofree char *kept = bl_path("%s/keep/me", dir);

	ck_assert_int_eq(bl_file_mkdirs(inside, 0755, NULL), 0);
	ck_assert_int_eq(bl_file_mkdirs(keep, 0755, NULL), 0);
	ck_assert_int_eq(bl_file_write(kept, "x", 1, 0644, NULL), 0);
	ck_assert_int_eq(symlink("../keep", link), 0);
	ck_assert_int_eq(bl_file_rmtree(inside, &err), 0);
	ck_assert_int_eq(access(inside, F_OK), -1);
	ck_assert_int_eq(access(kept, F_OK), 0);
	ck_assert_int_eq(bl_file_rmtree(inside, &err), 0);
}
END_TEST

START_TEST(only_plain_names_become_paths)
{
	static const char *const good[] = { "a", "v1.2+git-3_x", "_", "7.3" };
	static const char *const bad[] = { "",	  ".",	 "..",	"a/b", "/",
					   "-rf", "a b", "a\n", "ü",   "a:b" };
	char name[BL_NAME_MAX + 2];
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(good); i++)
		ck_assert_msg(bl_name_valid(good[i]), "%s", good[i]);
	for (i = 0; i < BL_ARRAY_SIZE(bad); i++)
		ck_assert_msg(!bl_name_valid(bad[i]), "%s", bad[i]);
	ck_assert(!bl_name_valid(NULL));
	memset(name, 'a', sizeof(name));
	name[BL_NAME_MAX + 1] = '\0';
	ck_assert(!bl_name_valid(name));
	name[BL_NAME_MAX] = '\0';
	ck_assert(bl_name_valid(name));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("file");
	TCase *t = tcase_create("file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, writes_with_the_mode_asked_for);
	tcase_add_test(t, replaces_and_never_overwrites);
	tcase_add_test(t, a_link_is_replaced_and_not_followed);
	tcase_add_test(t, what_is_no_file_is_not_replaced);
	tcase_add_test(t, a_failed_write_leaves_the_old_file_alone);
	tcase_add_test(t, killed_while_writing_leaves_old_or_new);
	tcase_add_test(t, reads_up_to_the_limit);
	tcase_add_test(t, reads_files_and_nothing_that_looks_like_one);
	tcase_add_test(t, makes_folders_and_refuses_a_file_in_their_place);
	tcase_add_test(t, removes_a_link_and_not_what_it_points_to);
	tcase_add_test(t, only_plain_names_become_paths);
	suite_add_tcase(s, t);
	return s;
}
