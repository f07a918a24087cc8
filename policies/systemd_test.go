package policies_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
)

// dropIns are unit files with the addresses that they allow and deny.
func dropIns() map[string][2][]string {
	return map[string][2][]string{
		"[Slice]\nIPAddressDeny=10.0.0.1\n":                                              {nil, {"10.0.0.1/32"}},
		"[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost 10.0.0.1\n":              {{"127.0.0.0/8", "::1/128", "10.0.0.1/32"}, {"0.0.0.0/0", "::/0"}},
		"# c\n; c\n[Service]\nIPAddressAllow = 10.0.0.0/8 \\\n# c\n  fd00::/8\n":         {{"10.0.0.0/8", "fd00::/8"}, nil},
		"[Service]\nIPAddressAllow=10.0.0.1\nIPAddressAllow=\nIPAddressAllow=10.0.0.2\n": {{"10.0.0.2/32"}, nil},
		"[Unit]\nIPAddressAllow=10.0.0.1\n[Service]\nExecStart=/usr/bin/etcd\n":          {},
		"[Service]\r\nIPAddressDeny=link-local multicast ::ffff:10.0.0.1\r\n":            {nil, {"169.254.0.0/16", "fe80::/64", "224.0.0.0/4", "ff00::/8", "10.0.0.1/32"}},
	}
}

func TestDropIn(t *testing.T) {
	t.Parallel()
	for text, want := range dropIns() {
		d, err := policies.ParseDropIn("10.conf", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if !slices.Equal(d.Allow, networks(t, want[0])) || !slices.Equal(d.Deny, networks(t, want[1])) {
			t.Errorf("%q: allow %v, deny %v", text, d.Allow, d.Deny)
		}
	}
	for _, text := range []string{"[Service]\nIPAddressAllow=nobody\n", "[Service]\nIPAddressDeny=10.0.0.0/33\n", "[Service]\nnothing\n", "[Service]\nIPAddressAllow=\\", "", "[Unit]\nDescription=x\n", "[Service]\n[Slice]\n", "[Service]\nPrivateNetwork=perhaps\n"} {
		if _, err := policies.ParseDropIn("10.conf", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "10.conf:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func networks(t *testing.T, list []string) []netip.Prefix {
	t.Helper()
	parsed, err := policies.ParseNetworks(list)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func FuzzDropIn(f *testing.F) {
	seeds := 0
	for text := range dropIns() {
		f.Add([]byte(text))
		seeds++
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := policies.ParseDropIn("x.conf", data)
		if err != nil {
			return
		}
		// What was read, written out, reads the same.
		var b strings.Builder
		b.WriteString("[Service]\n")
		for _, p := range d.Allow {
			b.WriteString("IPAddressAllow=" + p.String() + "\n")
		}
		for _, p := range d.Deny {
			b.WriteString("IPAddressDeny=" + p.String() + "\n")
		}
		again, err := policies.ParseDropIn("x.conf", []byte(b.String()))
		if err != nil || !slices.Equal(again.Allow, d.Allow) || !slices.Equal(again.Deny, d.Deny) {
			t.Errorf("%q reads as %v %v, and then as %v %v: %v", data, d.Allow, d.Deny, again.Allow, again.Deny, err)
		}
	})
}

// The files of a unit are read in systemd's order, whatever the order of the command line.
func TestMergeUnits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  string // allow, deny, private, interfaces, families, unread
	}{
		{"a drop-in empties the list of the unit", map[string]string{
			"etcd.service": "[Service]\nIPAddressDeny=any\nIPAddressAllow=10.0.0.1\n",
			"10.conf":      "[Service]\nIPAddressDeny=\n",
		}, "[10.0.0.1/32] [] false - - []"},
		{"the later name counts", map[string]string{
			"20.conf": "[Service]\nIPAddressAllow=\nIPAddressAllow=10.0.0.2\n",
			"10.conf": "[Service]\nIPAddressAllow=10.0.0.1\n",
		}, "[10.0.0.2/32] [] false - - []"},
		{"not of a slice", map[string]string{
			"system.slice": "[Slice]\nIPAddressDeny=10.0.0.9\n",
			"10.conf":      "[Service]\nIPAddressDeny=\nIPAddressDeny=10.0.0.8\n",
		}, "[] [10.0.0.8/32 10.0.0.9/32] false - - []"},
		{"a network of its own", map[string]string{"10.conf": "[Service]\nPrivateNetwork=yes\n"}, "[] [] true - - []"},
		{"and not any more", map[string]string{
			"10.conf": "[Service]\nPrivateNetwork=yes\n",
			"20.conf": "[Service]\nPrivateNetwork=no\n",
		}, "[] [] false - - []"},
		{"that of another unit", map[string]string{"10.conf": "[Unit]\nJoinsNamespaceOf=a.service\n[Service]\nPrivateNetwork=true\n"}, "[] [] true - - [JoinsNamespaceOf=a.service]"},
		{"no other unit", map[string]string{"10.conf": "[Unit]\nJoinsNamespaceOf=a.service\n[Service]\n"}, "[] [] false - - []"},
		{"interfaces", map[string]string{"10.conf": "[Service]\nRestrictNetworkInterfaces=eth0 lo\nRestrictNetworkInterfaces=~lo\n"}, "[] [] false [eth0]/false - []"},
		{"families", map[string]string{"10.conf": "[Service]\nRestrictAddressFamilies=~AF_INET6\n"}, "[] [] false - [AF_INET6]/true []"},
		{"no family at all", map[string]string{"10.conf": "[Service]\nRestrictAddressFamilies=none\n"}, "[] [] false - []/false []"},
		{"a program and none", map[string]string{
			"10.conf": "[Service]\nIPIngressFilterPath=/sys/fs/bpf/x\nSocketBindDeny=any\n",
			"20.conf": "[Service]\nSocketBindDeny=\n",
		}, "[] [] false - - [IPIngressFilterPath=/sys/fs/bpf/x]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var units []policies.SystemdDropIn
			for file, text := range test.files { // in any order
				u, err := policies.ParseDropIn(file, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				u.Unit = file
				units = append(units, u)
			}
			list := func(l *policies.UnitList) string {
				if l == nil {
					return "-"
				}
				return fmt.Sprintf("%v/%t", l.Names, l.Except)
			}
			f := policies.MergeUnits(units)
			if got := fmt.Sprintf("%v %v %t %s %s %v", f.Allow, f.Deny, f.Private, list(f.Interfaces), list(f.Families), f.Unread); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
