package cluster

import (
	"net/netip"
	"strings"
	"testing"
)

// Names of certificates are read as what they are, and what no client of etcd compares is refused.
func TestParseName(t *testing.T) {
	for s, want := range map[string]Name{
		"10.0.0.100":                     {IP: netip.MustParseAddr("10.0.0.100")},
		"::ffff:10.0.0.100":              {IP: netip.MustParseAddr("10.0.0.100")},
		"fd00::1":                        {IP: netip.MustParseAddr("fd00::1")},
		"127.0.0.1":                      {IP: netip.MustParseAddr("127.0.0.1")},
		"Etcd-0.Example.COM":             {DNS: "Etcd-0.Example.COM"},
		"etcd_0":                         {DNS: "etcd_0"},
		"*.etcd-headless.ns.svc":         {DNS: "*.etcd-headless.ns.svc"},
		"etcd-0.example.com.":            {DNS: "etcd-0.example.com."},
		"spiffe://cluster.local/ns/etcd": {URI: "spiffe://cluster.local/ns/etcd"},
		"urn:example:etcd:0":             {URI: "urn:example:etcd:0"},
		"ops@example.com":                {Email: "ops@example.com"},
	} {
		if got, err := ParseName(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"":                           "a name is empty",
		" etcd":                      "white space",
		"10.0.0.0/24":                "is a network",
		"10.0.0.1:2379":              "has port 2379",
		"[fd00::1]:2379":             "has port 2379",
		"fe80::1%eth0":               "has a zone",
		"10.0.0.256":                 "its last part is a number",
		"https://etcd-0.example.com": `clients compare only its host, "etcd-0.example.com"`,
		"spiffe://":                  "is not a URI",
		"urn:":                       "is not a URI",
		"a@b@c":                      "is not a mail address",
		"*":                          "covers every host of the search domain",
		"etcd-*.example.com":         "a wildcard must be the whole first part",
		"a.*.example.com":            "a wildcard must be the whole first part",
		"a..b":                       "neither an IP address nor a DNS name",
		"etcd 0":                     "neither an IP address nor a DNS name",
		"bücher.example":             "neither an IP address nor a DNS name",
	} {
		if got, err := ParseName(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", s, got, err, want)
		}
	}
}

// extraSpec adds extra names to the first member of a sound spec, and to all members.
func extraSpec(own, all string) string {
	spec := strings.Replace(minimal, "{name: etcd-0,", "{name: etcd-0, extraNames: "+own+",", 1)
	return strings.Replace(spec, "    members:", "    extraNames: "+all+"\n    members:", 1)
}

func TestExtraNames(t *testing.T) {
	c, err := read(t, extraSpec(`[10.0.0.99, etcd_0]`, `["*.etcd.example.internal"]`))
	if err != nil {
		t.Fatal(err)
	}
	if own, all := c.Etcd.Members[0].ExtraNames, c.Etcd.ExtraNames; len(own) != 2 || own[1].DNS != "etcd_0" || len(all) != 1 || len(c.Etcd.Members[1].ExtraNames) != 0 || len(c.Warnings) != 0 {
		t.Errorf("%v %v %q", own, all, c.Warnings)
	}
	if a := c.Etcd.Members[0].Addresses; len(a) != 2 {
		t.Errorf("extra names became addresses: %v", a)
	}
	if _, err := read(t, extraSpec(`[x/y]`, `[a, a, "b."]`)); err == nil ||
		!strings.Contains(err.Error(), "spec.etcd.members[0].extraNames[0]: ") || !strings.Contains(err.Error(), "spec.etcd.extraNames[1]: a is given twice") ||
		!strings.Contains(err.Error(), `spec.etcd.extraNames[2]: "b." ends in a dot, which certificates below an issuing CA cannot have; write "b"`) {
		t.Errorf("got %v", err)
	}
	if _, err := read(t, extraSpec(`[]`, `["b."]`)+"  pki: {hierarchy: single}\n"); err != nil {
		t.Errorf("below a root without name constraints: %v", err)
	}
	// Certificates that are valid for another member are allowed, and said.
	c, err = read(t, extraSpec(`[10.0.0.11, "fd00::12"]`, `[etcd-2.Example.internal]`))
	if all := strings.Join(c.Warnings, "\n"); err != nil || len(c.Warnings) != 2 ||
		!strings.Contains(all, "members[0].extraNames[1]: fd00::12 is the address of etcd-1") || !strings.Contains(all, "spec.etcd.extraNames[0]: etcd-2.Example.internal is the address of etcd-2") {
		t.Errorf("%v\n%s", err, all)
	}
}

// A client can have a CN that is no name, and no two holders of certificates have one CN.
func TestCommonNames(t *testing.T) {
	c, err := read(t, minimal+"  clients: [{name: kube-apiserver, role: kubernetes, commonName: \"system:kube-apiserver\"}, {name: backup, role: backup}]\n")
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, client := range c.Clients {
		users = append(users, c.CommonName(client))
	}
	if got := strings.Join(users, " "); got != "system:kube-apiserver healthcheck auditor backup" {
		t.Errorf("users: %s", got)
	}
	for clients, want := range map[string]string{
		`{name: a, role: backup, commonName: root}`:                                            "superuser",
		`{name: a, role: backup, commonName: etcd-1}`:                                          "is also the name of a member",
		`{name: a, role: backup, commonName: auditor}`:                                         `spec.clients[0].commonName: "auditor" is also the CN of "auditor"`,
		`{name: a, role: backup, commonName: x}, {name: b, role: backup, commonName: x}`:       `"x" is also the CN of "a"`,
		`{name: a, role: backup, commonName: " x"}`:                                            "white space",
		`{name: a, role: backup, commonName: "` + strings.Repeat("x", 65) + `"}`:               "longer than a common name may be (64)",
		`{name: a, role: backup, commonName: b}, {name: b, role: backup}`:                      `"b" is also the CN of "a"`,
		`{name: kube-apiserver, role: kubernetes, commonName: x}, {name: x, role: monitoring}`: `"x" is also the CN of "kube-apiserver"`,
	} {
		if _, err := read(t, minimal+"  clients: ["+clients+"]\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", clients, err, want)
		}
	}
}
