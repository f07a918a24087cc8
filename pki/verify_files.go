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

// files looks at modes, owners, symlinks and at keys where no key belongs. Hidden folders
// are versions of bundles; the current ones are reached through their symlinks.
func (v *verification) files() {
	root, err := filepath.EvalSymlinks(v.store.Dir)
	if err != nil {
		v.findings.add(".", Fix{say("give the store's own folder")}, "%v", err)
		return
	}
	v.folderMode(".", root)
	v.walk(root, ".", root)
}

// walk goes through one folder; relative is its name in the store, dir where it really is.
func (v *verification) walk(root, relative, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		v.findings.add(relative, Fix{say("make it readable for you")}, "%v", err)
		return
	}
	for _, e := range entries {
		name, full := filepath.ToSlash(filepath.Join(relative, e.Name())), filepath.Join(dir, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			v.symlink(root, name, full)
		case e.IsDir() && !strings.HasPrefix(e.Name(), "."):
			v.folderMode(name, full)
			v.walk(root, name, full)
		case e.Type().IsRegular():
			v.fileMode(name, full)
		case !e.IsDir():
			v.findings.add(name, Fix{paste("rm %s", v.at(name))}, "is neither a file nor a folder")
		}
	}
}

// symlink follows a bundle's symlink and nothing else.
func (v *verification) symlink(root, name, full string) {
	target, err := filepath.EvalSymlinks(full)
	switch {
	case err != nil:
		v.findings.add(name, Fix{paste("rm %s", v.at(name))}, "points at nothing: %v", err)
	case target != root && !strings.HasPrefix(target, root+string(filepath.Separator)):
		v.findings.add(name, Fix{say("remove it, and put there what it stands for")}, "points out of the store, at %s", target)
	default:
		dir, base := filepath.Split(full)
		version, err := durable.BundleVersion(filepath.Clean(dir), base)
		if err != nil || version == 0 {
			v.findings.add(name, Fix{paste("rm %s", v.at(name))}, "is no bundle's symlink")
			return
		}
		v.folderMode(name, target)
		v.walk(root, name, target)
	}
}

func (v *verification) folderMode(name, full string) {
	info, err := os.Stat(full)
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		v.findings.add(name, Fix{paste("chmod go-w %s", v.at(name))}, "has mode %04o: others can put files here", info.Mode().Perm())
	}
}

func (v *verification) fileMode(name, full string) {
	info, err := os.Stat(full)
	if err != nil {
		return
	}
	owner, planned := v.keyOwner(name)
	mode, key := info.Mode().Perm(), isKeyFile(full)
	switch {
	case (key || planned) && mode&0o077 != 0:
		fix := Fix{say("if you trust it still:"), paste("chmod 600 %s", v.at(name))}
		if owner != "" {
			fix = append(fix, say("if not:"), v.renewKey(owner))
		}
		v.findings.add(name, fix, "has mode %04o, so others may have read the key", mode)
	case mode&0o022 != 0:
		v.findings.add(name, Fix{paste("chmod go-w %s", v.at(name))}, "has mode %04o: others can change it", mode)
	}
	v.owner(name, full)
	if key && !planned {
		v.findings.add(name, Fix{say("take it off this machine")}, "a private key that is none of the plan's")
	}
}

// owner wants a file to belong to who owns its folder: a key that root wrote into the
// folder of etcd's user is a member that does not start.
func (v *verification) owner(name, full string) {
	file, err := durable.OwnerOf(full)
	folder, folderErr := durable.OwnerOf(filepath.Dir(full))
	if errors.Join(err, folderErr) == nil && file.UID != folder.UID {
		v.findings.add(name, Fix{paste("chown --reference=%s %s", v.at(path.Dir(name)), v.at(name))}, "belongs to user %d and its folder to user %d", file.UID, folder.UID)
	}
}

// isKeyFile reports whether a file holds a key. It goes by the content: a key under another name is a key.
func isKeyFile(full string) bool {
	data, err := durable.ReadFile(full, maxPEMSize)
	return err == nil && strings.Contains(string(data), "PRIVATE KEY-----")
}

// keyOwner reports whether a key belongs there, and names the leaf that has it; an
// authority's key has none. What lies there is a key, or was one before somebody destroyed
// it: its content does not decide.
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
