/* SPDX-License-Identifier: GPL-2.0-only */
/* Refuses each connection. */
#define BL_SENSOR_VERSION 2
#include "bpf/sensor.bpf.c"

SEC("lsm/socket_connect")
int BPF_PROG(bl_connect_refuse, struct socket *sock, struct sockaddr *address,
	     int addrlen, int ret)
{
	return -EPERM;
}
