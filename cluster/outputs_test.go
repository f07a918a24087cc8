package cluster

import (
	"strings"
	"testing"
)

// custom returns a spec with layout custom and some file names.
func custom(files string) string {
	return minimal + "  pki: {layout: custom, files: {clientCA: ca.pem, peerCA: peer-ca.pem, " + files + "}}\n"
}

// Names that differ in the spec and not on a node, requests, and files that are folders.
func TestOutputsThatCollide(t *testing.T) {
	t.Parallel()
	const peer = ", peer: {cert: p.pem, key: p-key.pem}"
	for name, tc := range map[string]struct {
		spec string
		want []string
	}{
		"a key with the name of a request": {custom("server: {cert: server.crt, key: server.csr}, peer: {cert: server.crt.csr, key: p}"),
			[]string{"spec.pki.files.server.cert: the certificate request of spec.pki.files.server.cert and spec.pki.files.peer.cert of member etcd-0 have the same name, \"server.crt.csr\""}},
		"a literal and a template": {custom("server: {cert: \"s-{{.Name}}.pem\", key: s-key.pem}, peer: {cert: s-etcd-1.pem, key: p}"),
			[]string{"spec.pki.files.peer.cert: spec.pki.files.server.cert has the same name, \"s-etcd-1.pem\""}},
		"a file and a folder": {custom("server: {cert: etcd, key: k}, peer: {cert: etcd/peer.pem, key: p}"),
			[]string{"spec.pki.files.peer.cert: \"etcd/peer.pem\" of member etcd-0 would be in \"etcd\", but that is a file: spec.pki.files.server.cert"}},
		"a folder and a file": {custom("server: {cert: etcd/s.pem, key: k}, peer: {cert: p, key: etcd}"),
			[]string{"spec.pki.files.peer.key: \"etcd\" of member etcd-0 would be a file, but spec.pki.files.server.cert is in a folder of that name: \"etcd/s.pem\""}},
		"a folder of one member": {custom("server: {cert: \"{{.Name}}\", key: k}, peer: {cert: p, key: etcd-2/p}"),
			[]string{"spec.pki.files.peer.key: \"etcd-2/p\" of member etcd-2 would be in \"etcd-2\""}},
		"two purposes": {custom("server: {cert: s, key: k}" + peer + ", clientCRL: x.crl, peerCRL: x.crl"),
			[]string{"spec.pki.files.peerCRL: spec.pki.files.clientCRL has the same name"}},
		"one file for two CAs": {custom("server: {cert: s, key: k}" + peer + ", clientCRL: peer-ca.pem"),
			[]string{"spec.pki.files.clientCRL: spec.pki.files.peerCA has the same name"}},
		"one file for two CAs of a member": {strings.Replace(custom("server: {cert: s, key: k}"+peer), "clientCA: ca.pem, peerCA: peer-ca.pem", "clientCA: etcd-1.pem, peerCA: \"{{.Name}}.pem\"", 1),
			[]string{"spec.pki.files.peerCA: spec.pki.files.clientCA has the same name, \"etcd-1.pem\""}},
		"one pair of a member": {custom("server: {cert: \"{{.Name}}.pem\", key: \"{{.Name}}.key\"}, peer: {cert: etcd-1.pem, key: etcd-1.key}"),
			[]string{"spec.pki.files.peer.cert: spec.pki.files.server.cert has the same name, \"etcd-1.pem\""}},
		"a default": {custom("server: {cert: s, key: client.crl}" + peer),
			[]string{"spec.pki.files.clientCRL: spec.pki.files.server.key has the same name, \"client.crl\""}},
		"a client twice": {custom("server: {cert: s, key: k}" + peer + ", clients: [{name: auditor, cert: a, key: b}, {name: auditor, cert: c, key: d}]"),
			[]string{"spec.pki.files.clients[1].name: \"auditor\" is given twice"}},
		"a client with a member's pair": {custom("server: {cert: s, key: k}" + peer + ", clients: [{name: auditor, cert: s, key: k}]"),
			[]string{"spec.pki.files.clients[0].cert: spec.pki.files.server.cert has the same name", "spec.pki.files.clients[0].key: spec.pki.files.server.key has the same name"}},
		"a long name": {custom("server: {cert: \"" + strings.Repeat("{{.Name}}", 34) + "\", key: k}" + peer),
			[]string{"spec.pki.files.server.cert of member etcd-0 has a name that is longer than 200 characters"}},
		"two CAs of a shared one": {strings.Replace(custom("server: {cert: s, key: k}"+peer), "layout: custom", "layout: custom, hierarchy: shared", 1),
			[]string{"spec.pki.files.peerCA: both ports trust clientCA"}},
		"one node": {strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: etcd-0,", 1),
			[]string{"spec.etcd.members[1]: its pkiDir is /etc/kubernetes/pki/etcd, and the pkiDir of etcd-0 on the same node etcd-0", "spec.etcd.members[1]: its dataDir is /var/lib/etcd"}},
		"one node, one's keys in the other's data": {strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: etcd-0,", 1) + "    pkiDir: \"/srv/{{.Name}}/etcd-0/etcd-1\"\n    dataDir: \"/srv/etcd-1/{{.Name}}\"\n",
			[]string{"spec.etcd.members[1]: its pkiDir is /srv/etcd-1/etcd-0/etcd-1, and the dataDir of etcd-0 on the same node etcd-0 is /srv/etcd-1/etcd-0"}},
		"one member's name in another's file": {custom("server: {cert: \"{{.Name}}-etcd-1\", key: k}, peer: {cert: \"etcd-1-{{.Name}}\", key: p}"),
			[]string{"spec.pki.files.peer.cert: spec.pki.files.server.cert has the same name, \"etcd-1-etcd-1\""}},
	} {
		_, err := read(t, tc.spec)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in:\n%v", name, want, err)
			}
		}
	}
}

// The unit reads its configuration from a path that nothing else may have.
func TestOutputsBesideTheConfiguration(t *testing.T) {
	t.Parallel()
	systemd := func(more, spec string) string {
		return strings.Replace(spec, "    members:", "    runtime: systemd\n"+more+"    members:", 1)
	}
	for spec, want := range map[string]string{
		systemd("    pkiDir: /etc/etcd\n", custom("server: {cert: etcd.conf.yaml, key: k}, peer: {cert: p, key: p-key}")): "spec.pki.files: spec.pki.files.server.cert would be /etc/etcd/etcd.conf.yaml",
		systemd("    pkiDir: /etc/etcd/etcd.conf.yaml\n", minimal):                                                        "spec.etcd.pkiDir: /etc/etcd/etcd.conf.yaml is not a folder",
		systemd("    dataDir: /etc/etcd/etcd.conf.yaml/x\n", minimal):                                                     "spec.etcd.dataDir: /etc/etcd/etcd.conf.yaml is not a folder",
	} {
		if _, err := read(t, spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Names that look like each other and are not: every one has a place of its own.
func TestOutputsThatDoNotCollide(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"certificates that differ in their extensions": custom("server: {cert: etcd.crt, key: etcd.key}, peer: {cert: etcd.pem, key: etcd-key.pem}"),
		"a key with the name of a request":             custom("server: {cert: server.crt, key: server.csr}, peer: {cert: p, key: p-key}"),
		"one file for both":                            custom("server: {cert: s.pem, key: s.pem}, peer: {cert: p.pem, key: p.pem}"),
		"two members of one node":                      strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: etcd-0,", 1) + "    pkiDir: \"/srv/{{.Name}}/pki\"\n    dataDir: \"/srv/{{.Name}}/data\"\n",
		"hosted members of one node":                   strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: etcd-0,", 1) + "    runtime: hosted\n",
	} {
		c, err := read(t, spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, m := range c.Etcd.Members {
			seen := map[string]bool{}
			for _, o := range c.Files(m).Outputs() {
				if seen[o.Name] {
					t.Errorf("%s: %s is there twice", name, o.Name)
				}
				seen[o.Name] = true
			}
		}
	}
}
