package policies_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
)

// dropIns are unit files with the addresses that they allow and deny.
func dropIns() map[string][2][]string {
	return map[string][2][]string{
		"": {},
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
	for _, text := range []string{"[Service]\nIPAddressAllow=nobody\n", "[Service]\nIPAddressDeny=10.0.0.0/33\n", "[Service]\nnothing\n", "[Service]\nIPAddressAllow=\\"} {
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
