package cluster

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/placeholder"
)

// expandName puts a member's name into a path or file name that [New] has checked.
func expandName(s, name string) string {
	expanded, err := placeholder.Expand(s, nameValue(name))
	if err != nil {
		return s
	}
	return expanded
}

// nameValue holds the only placeholder of paths and file names.
func nameValue(name string) map[string]string { return map[string]string{"Name": name} }

// variesByMember reports whether a path or file name has the member's name in it.
func variesByMember(s string) bool { return expandName(s, "x") != expandName(s, "y") }

// plainPath matches paths that need no quotes in the unit files and YAML of a root process.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/@+-]+$`)

func (v *validator) dir(field, given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	plain, err := placeholder.Expand(given, nameValue("x"))
	switch {
	case err != nil:
		v.fault(field, "%v", err)
	case !path.IsAbs(plain) || path.Clean(plain) != plain || plain == "/":
		v.fault(field, "%q is not a clean absolute path", given)
	case !plainPath.MatchString(plain):
		v.fault(field, "%q has characters that unit files and manifests treat as special", given)
	}
	return given
}

// folders checks where the pkiDir and the dataDir of each member are. etcd gets both, changes the mode
// of the dataDir to 0700 and writes into it, and a restore replaces it as a whole.
func (v *validator) folders(e Etcd) {
	told := map[string]bool{}
	fault := func(field, format string, a ...any) {
		if !told[field] { // once, not for each member
			v.fault(field, format, a...)
		}
		told[field] = true
	}
	for _, m := range e.Members {
		pki, data := e.PKIDir(m), e.DataDir(m)
		for _, of := range []struct{ field, dir string }{{"spec.etcd.pkiDir", pki}, {"spec.etcd.dataDir", data}} {
			if above := reservedAbove(of.dir); above != "" {
				fault(of.field, "%s is in %s, in which no service may own a folder; give a folder of etcd's own, such as /etc/etcd/pki or /var/lib/etcd", of.dir, above)
			} else if isSystemDir(of.dir) {
				fault(of.field, "%s belongs to the system and has other files; give a folder of etcd's own, such as %s", of.dir, path.Join(of.dir, "etcd"))
			}
		}
		switch {
		case pki == data:
			fault("spec.etcd.dataDir", "%s is also the pkiDir; etcd's data and its keys need folders of their own", data)
		case isBelow(data, pki):
			fault("spec.etcd.dataDir", "%s is inside of the pkiDir %s, whose content is replaced as a whole", data, pki)
		case isBelow(pki, data):
			fault("spec.etcd.pkiDir", "%s is inside of the dataDir %s, which a restore replaces as a whole, and snapshots of the folder would hold the keys", pki, data)
		}
	}
}

func isBelow(dir, above string) bool { return strings.HasPrefix(dir, above+"/") }

// isSystemDir reports whether a folder has files of many programs, so that none may own it, replace it
// or give it to etcd.
func isSystemDir(dir string) bool {
	return slices.Contains([]string{
		"/etc", "/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var",
		"/etc/kubernetes", "/etc/pki", "/etc/ssl", "/etc/ssl/certs", "/etc/ssl/private", "/etc/systemd", "/etc/systemd/system",
		"/var/lib", "/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet", "/var/lib/rancher", "/var/log", "/var/run", "/var/tmp",
	}, dir)
}

// reservedAbove returns the folder, above dir or dir itself, that is for programs, for devices, for what
// the kernel shows, or for the kubelet, which takes every file in it for a Pod. It is empty if there is
// none.
func reservedAbove(dir string) string {
	for _, above := range []string{"/bin", "/boot", "/dev", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/etc/kubernetes/manifests"} {
		if (dir == above || isBelow(dir, above)) && !isBelow(dir, "/dev/shm") && !isBelow(dir, "/usr/local") {
			return above
		}
	}
	return ""
}
