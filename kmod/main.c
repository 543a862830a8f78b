// SPDX-License-Identifier: GPL-2.0-only
/*
 * The twin of bpf/sensor.bpf.c as a kernel module: load and unload, the device
 * that content goes in and events come out of (abi.h), and sysfs:
 *
 *	/sys/class/misc/belay_sensor/
 *		armed		0 or 1: whether the hooks are in; may be written
 *		seen emitted ignored dropped denied torn	struct bl_stats
 *		content_rules content_loads
 *		lease_ms	for how long content may refuse, from when it is
 *				written; "none": for ever, as nobody wrote it
 *		timed		0 or 1: whether hooks are timed; may be written
 *		runs run_ns	how many were, and for how long
 *
 * With arm=0 it is loaded and does nothing until armed is written. Writing 0
 * takes the hooks out whatever readers do; the module itself stays for as long
 * as somebody has the device open or mapped (rmmod: EBUSY), as any module does.
 * So poll() says POLLHUP to a reader as long as it is not armed: nothing
 * more will come, and somebody may want to unload it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "kmod/sensor.h"

static bool deny;
module_param(deny, bool, 0444);
MODULE_PARM_DESC(deny, "content may refuse operations (default: no)");

static bool arm = true;
module_param(arm, bool, 0444);
MODULE_PARM_DESC(arm, "hooks are in from the beginning (default: yes)");

static unsigned int ring_kib = 256;
module_param(ring_kib, uint, 0444);
MODULE_PARM_DESC(
	ring_kib,
	"KiB of ring for each CPU, a power of two from 4 to 65536 (default: 256)");

module_param_named(generation, bl_generation, uint, 0444);
MODULE_PARM_DESC(generation, "the loader's number, in every event");

static bool armed;
static DEFINE_MUTEX(armed_lock);
static unsigned long reading; /* bit 0: somebody is the reader */

/* --- the device ----------------------------------------------------------- */

static int sensor_open(struct inode *inode, struct file *file)
{
	if (file->f_mode & FMODE_READ && test_and_set_bit_lock(0, &reading))
		return -EBUSY;
	return nonseekable_open(inode, file);
}

/* Comes when the last mapping is gone, too. */
static int sensor_release(struct inode *inode, struct file *file)
{
	if (file->f_mode & FMODE_READ)
		clear_bit_unlock(0, &reading);
	return 0;
}

static ssize_t sensor_write(struct file *file, const char __user *from,
			    size_t len, loff_t *pos)
{
	int err = bl_content_load(from, len, deny);

	return err ? err : len;
}

static int sensor_mmap(struct file *file, struct vm_area_struct *vma)
{
	return bl_rings_mmap(vma);
}

static long sensor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct bl_kmod_consumed to;
	struct bl_kmod_info info;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	switch (cmd) {
	case BL_KMOD_INFO:
		bl_rings_info(&info);
		return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
	case BL_KMOD_CONSUMED:
		if (copy_from_user(&to, user, sizeof(to)))
			return -EFAULT;
		return bl_rings_consumed(&to);
	default:
		return -ENOTTY;
	}
}

static __poll_t sensor_poll(struct file *file, struct poll_table_struct *wait)
{
	__poll_t mask = bl_rings_poll(file, wait);

	return READ_ONCE(armed) ? mask : mask | EPOLLHUP;
}

static const struct file_operations sensor_ops = {
	.owner = THIS_MODULE,
	.open = sensor_open,
	.release = sensor_release,
	.write = sensor_write,
	.mmap = sensor_mmap,
	.poll = sensor_poll,
	.unlocked_ioctl = sensor_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* --- sysfs ---------------------------------------------------------------- */

#define STATS_ATTR(name)                                                     \
	static ssize_t name##_show(struct device *dev,                       \
				   struct device_attribute *attr, char *buf) \
	{                                                                    \
		struct bl_stats sum;                                         \
                                                                             \
		bl_stats_sum(&sum);                                          \
		return sysfs_emit(buf, "%llu\n",                             \
				  (unsigned long long)sum.name);             \
	}                                                                    \
	static DEVICE_ATTR_RO(name)

STATS_ATTR(seen);
STATS_ATTR(emitted);
STATS_ATTR(ignored);
STATS_ATTR(dropped);
STATS_ATTR(denied);
STATS_ATTR(torn);

static ssize_t content_rules_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", bl_content_rules());
}
static DEVICE_ATTR_RO(content_rules);

static ssize_t content_loads_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", bl_content_loads());
}
static DEVICE_ATTR_RO(content_loads);

static ssize_t lease_ms_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	u64 ms;

	if (!bl_lease_left(&ms))
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%llu\n", (unsigned long long)ms);
}

static ssize_t lease_ms_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t len)
{
	u32 ms;
	int err = kstrtou32(buf, 0, &ms);

	if (err)
		return err;
	bl_lease_set(ms);
	return len;
}
static DEVICE_ATTR_RW(lease_ms);

static ssize_t runs_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct bl_times sum;

	bl_times_sum(&sum);
	return sysfs_emit(buf, "%llu\n", (unsigned long long)sum.runs);
}
static DEVICE_ATTR_RO(runs);

static ssize_t run_ns_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct bl_times sum;

	bl_times_sum(&sum);
	return sysfs_emit(buf, "%llu\n", (unsigned long long)sum.ns);
}
static DEVICE_ATTR_RO(run_ns);

static ssize_t timed_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%d\n", static_key_enabled(&bl_timed));
}

static ssize_t timed_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	bool want;
	int err = kstrtobool(buf, &want);

	if (err)
		return err;
	if (want)
		static_branch_enable(&bl_timed);
	else
		static_branch_disable(&bl_timed);
	return len;
}
static DEVICE_ATTR_RW(timed);

static ssize_t armed_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(armed));
}

static int armed_set(bool want)
{
	int err = 0;

	mutex_lock(&armed_lock);
	if (want && !armed)
		err = bl_hooks_add(deny);
	else if (!want && armed)
		bl_hooks_remove();
	if (!err)
		WRITE_ONCE(armed, want);
	mutex_unlock(&armed_lock);
	bl_rings_wake();
	return err;
}

static ssize_t armed_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	bool want;
	int err = kstrtobool(buf, &want);

	if (!err)
		err = armed_set(want);
	return err ? err : len;
}
static DEVICE_ATTR_RW(armed);

static struct attribute *sensor_attrs[] = {
	&dev_attr_seen.attr,	      &dev_attr_emitted.attr,
	&dev_attr_ignored.attr,	      &dev_attr_dropped.attr,
	&dev_attr_denied.attr,	      &dev_attr_torn.attr,

	&dev_attr_content_rules.attr, &dev_attr_content_loads.attr,
	&dev_attr_armed.attr,	      &dev_attr_lease_ms.attr,
	&dev_attr_timed.attr,	      &dev_attr_runs.attr,
	&dev_attr_run_ns.attr,	      NULL,
};
ATTRIBUTE_GROUPS(sensor);

/* --- load and unload ------------------------------------------------------ */

static struct miscdevice sensor_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = BL_KMOD_NAME,
	.mode = 0600,
	.fops = &sensor_ops,
	.groups = sensor_groups,
};

static int __init sensor_init(void)
{
	int err;

	if (!is_power_of_2(ring_kib) || ring_kib < PAGE_SIZE / SZ_1K ||
	    ring_kib > SZ_64K) {
		pr_err("ring_kib=%u is no power of two in range\n", ring_kib);
		return -EINVAL;
	}
	err = bl_rings_make(ring_kib * SZ_1K);
	if (err)
		return err;
	/* Hooks first: whoever finds the device finds a sensor that works. */
	if (arm)
		err = armed_set(true);
	if (err)
		goto free;
	err = misc_register(&sensor_device);
	if (err)
		goto disarm;
	return 0;
disarm:
	armed_set(false);
free:
	bl_rings_free();
	return err;
}

static void __exit sensor_exit(void)
{
	misc_deregister(&sensor_device);
	armed_set(false);
	bl_rings_free();
	bl_content_drop();
}

module_init(sensor_init);
module_exit(sensor_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION(
	"belay's sensor: exec, open and connect, filtered by content");
