package host

import (
	"slices"
	"testing"
)

// The lines are of a container of containerd, and of its host.
func TestJoinMounts(t *testing.T) {
	const inside = `1600 1500 0:300 / / rw,relatime - overlay overlay rw,lowerdir=/x
1601 1600 0:301 / /proc rw,nosuid - proc proc rw
1610 1600 259:1 /etc/kubernetes/pki/etcd/server.crt /certs/server.crt ro,relatime - ext4 /dev/nvme0n1p1 rw
1611 1600 259:2 / /var/lib/etcd rw,relatime - xfs /dev/nvme1n1 rw
1612 1600 0:25 /systemd/resolve\040x /etc/resolv.conf ro - tmpfs tmpfs rw
1613 1600 0:4 net:[4026531840] /run/netns/a rw - nsfs nsfs rw
short line
`
	const outside = `22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
23 22 0:25 / /run rw - tmpfs tmpfs rw
24 22 259:2 / /mnt/etcd rw - xfs /dev/nvme1n1 rw
25 22 259:2 / /var/lib/etcd rw - xfs /dev/nvme1n1 rw
`
	want := []mount{{"/proc", ""}, {"/certs/server.crt", "/etc/kubernetes/pki/etcd/server.crt"}, {"/var/lib/etcd", "/var/lib/etcd"}, {"/etc/resolv.conf", "/run/systemd/resolve x"}}
	if got := joinMounts(parseMounts([]byte(inside)), parseMounts([]byte(outside))); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
