package pki

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// checkFiles checks modes, owners and symlinks, and finds keys that do not belong in the store.
// Hidden folders are versions of bundles; it reaches the current ones through their symlinks.
func (v *verification) checkFiles() {
	root, err := filepath.EvalSymlinks(v.store.Dir)
	if err != nil {
		v.findings.add(".", Fix{say("give the store's own folder")}, "%v", err)
		return
	}
	v.checkFolderMode(".", root)
	v.walk(root, ".", root)
}

// walk checks one folder. relative is its name in the store, dir its real path.
func (v *verification) walk(root, relative, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		v.findings.add(relative, Fix{say("make it readable")}, "%v", err)
		return
	}
	for _, e := range entries {
		name, full := filepath.ToSlash(filepath.Join(relative, e.Name())), filepath.Join(dir, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			v.checkSymlink(root, name, full)
		case e.IsDir() && !strings.HasPrefix(e.Name(), "."):
			v.checkFolderMode(name, full)
			v.walk(root, name, full)
		case e.Type().IsRegular():
			v.checkFileMode(name, full)
		case !e.IsDir():
			v.findings.add(name, Fix{paste("rm %s", v.pathOf(name))}, "is neither a file nor a folder")
		}
	}
}

// checkSymlink follows the symlink of a bundle, and reports any other one.
func (v *verification) checkSymlink(root, name, full string) {
	target, err := filepath.EvalSymlinks(full)
	switch {
	case err != nil:
		v.findings.add(name, Fix{paste("rm %s", v.pathOf(name))}, "leads nowhere: %v", err)
	case target != root && !strings.HasPrefix(target, root+string(filepath.Separator)):
		v.findings.add(name, Fix{say("replace it by a copy of its target")}, "leads out of the store, to %s", target)
	default:
		dir, base := filepath.Split(full)
		version, err := durable.BundleVersion(filepath.Clean(dir), base)
		if err != nil || version == 0 {
			v.findings.add(name, Fix{paste("rm %s", v.pathOf(name))}, "is not the symlink of a bundle")
			return
		}
		v.checkFolderMode(name, target)
		v.walk(root, name, target)
	}
}

func (v *verification) checkFolderMode(name, full string) {
	info, err := os.Stat(full)
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		v.findings.add(name, Fix{paste("chmod go-w %s", v.pathOf(name))}, "has mode %04o: others can put files here", info.Mode().Perm())
	}
}

func (v *verification) checkFileMode(name, full string) {
	info, err := os.Stat(full)
	if err != nil {
		return
	}
	owner, planned := v.keyOwner(name)
	mode, key := info.Mode().Perm(), isKeyFile(full)
	switch {
	case (key || planned) && mode&0o077 != 0:
		fix := Fix{say("if you still trust it:"), paste("chmod 600 %s", v.pathOf(name))}
		if owner != "" {
			fix = append(fix, say("if not:"), v.renewKey(owner))
		}
		v.findings.add(name, fix, "has mode %04o, so others may have read the key", mode)
	case mode&0o022 != 0:
		v.findings.add(name, Fix{paste("chmod go-w %s", v.pathOf(name))}, "has mode %04o: others can change it", mode)
	}
	v.checkOwner(name, full)
	switch certOf := v.certificateOwner(name); {
	case key && !planned && certOf != "":
		v.findings.add(name, Fix{v.renewKey(certOf)}, "has a private key in it, as well as its certificate")
	case key && !planned:
		v.findings.add(name, Fix{say("remove it from this machine")}, "is a private key that the plan does not have")
	}
}

// checkOwner checks that a file belongs to the owner of its folder: if root wrote a key into the
// folder of etcd's user, the member does not start.
func (v *verification) checkOwner(name, full string) {
	file, err := durable.OwnerOf(full)
	folder, folderErr := durable.OwnerOf(filepath.Dir(full))
	if errors.Join(err, folderErr) == nil && file.UID != folder.UID {
		v.findings.add(name, Fix{paste("chown --reference=%s %s", v.pathOf(path.Dir(name)), v.pathOf(name))}, "belongs to user %d, but its folder belongs to user %d", file.UID, folder.UID)
	}
}

// isKeyFile reports whether a file holds a key. It checks the content: a key can have any name.
func isKeyFile(full string) bool {
	data, err := durable.ReadFile(full, maxPEMSize)
	return err == nil && strings.Contains(string(data), "PRIVATE KEY-----")
}

// certificateOwner returns the name of the leaf whose certificate the plan has at that path, or an
// empty name.
func (v *verification) certificateOwner(name string) string {
	for _, b := range v.plan.Bundles {
		for _, l := range b.Leaves {
			if name == b.Path+"/"+l.CertFile {
				return l.Name
			}
		}
	}
	return ""
}

// keyOwner reports whether the plan has a key at that path, and returns the name of its leaf; an
// authority's key has none. It does not check the content: somebody may have destroyed the key.
func (v *verification) keyOwner(name string) (leaf string, planned bool) {
	for _, a := range v.plan.Authorities {
		if name == a.Path()+"/"+caKeyName {
			return "", true
		}
	}
	for _, b := range v.plan.Bundles {
		for _, l := range b.Leaves {
			if name == b.Path+"/"+l.KeyFile {
				return l.Name, true
			}
		}
	}
	return "", false
}
