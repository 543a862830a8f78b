/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of sensor.bpf.c that sees what is asked of DNS; of that file only. */
#ifndef BL_BPF_SENSOR_DNS_H
#define BL_BPF_SENSOR_DNS_H

/*
 * A datagram on its way out, in the process that sends it, whatever call it
 * used; its headers are written, and a question is never in fragments of a page.
 * Only what asks a name counts as seen.
 */
static __always_inline int dns_seen(struct sk_buff *skb)
{
	const struct bl_content_hdr *hdr = content();
	__u32 at = skb->transport_header, len;
	unsigned char *head = skb->head;
	struct bl_udphdr udp;
	struct bl_stats *st;
	struct scratch *s;

	if (skb->sk->sk_protocol != IPPROTO_UDP || never(hdr, BL_EVENT_DNS))
		return 0;
	/* What lies behind the tail is nobody's. */
	len = skb->tail - at - sizeof(udp);
	if ((int)len < BL_DNS_HEADER ||
	    bpf_probe_read_kernel(&udp, sizeof(udp), head + at) ||
	    udp.dest != bpf_htons(BL_DNS_PORT))
		return 0;
	s = scratch_get();
	if (!s) {
		COUNT(seen); /* torn ones are */
		return 0;
	}
	/* By way of memory, or the verifier takes it for a negative number. */
	*(volatile __u32 *)&s->dns.len =
		len > BL_DNS_MESSAGE_MAX ? BL_DNS_MESSAGE_MAX : len;
	len = *(volatile __u32 *)&s->dns.len & 511;
	if (bpf_probe_read_kernel(s->walk, len, head + at + sizeof(udp)))
		goto put;
	if (!bl_dns_name((const __u8 *)s->walk, len, s->event.path.path,
			 &s->dns))
		goto put;
	st = stats();
	if (!st)
		goto put;
	ADD_ONE(st->seen);
	len = *(volatile __u32 *)&s->dns.len & 255;
	s->match = bl_content_domain(NULL, hdr, &s->event.path.path[len], len,
				     &s->marks);
	if (s->match.action == BL_ACTION_EMIT) {
		len = *(volatile __u32 *)&s->dns.len & 255;
		s->event.path.path[len] = 0;
		s->event.path.len = len;
		s->event.path.flags = 0;
		report(s, BL_EVENT_DNS, BL_ACTION_EMIT,
		       BL_EVENT_FIXED + 5 + len);
	} else {
		ADD_ONE(st->ignored);
	}
put:
	scratch_put(s);
	return 0;
}

SEC("?fentry/ip_send_skb")
int BPF_PROG(bl_dns4, struct net *net, struct sk_buff *skb)
{
	return dns_seen(skb);
}

SEC("?fentry/ip6_send_skb")
int BPF_PROG(bl_dns6, struct sk_buff *skb)
{
	return dns_seen(skb);
}

#endif
