package pki

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// checkFiles checks modes, owners and symlinks, and finds keys that do not belong in the store, in
// hidden folders too. It reaches the current versions of bundles through their symlinks.
func (v *verification) checkFiles() {
	root, err := filepath.EvalSymlinks(v.store.Dir)
	if err != nil {
		v.findings.add(".", Fix{say("give the store's own folder")}, "%v", err)
		return
	}
	v.checkHands(root)
	v.checkFolderMode(".", root)
	v.walk(root, ".", root)
}

// walk checks one folder. relative is its name in the store, dir its real path.
func (v *verification) walk(root, relative, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		v.findings.add(relative, makeReadable(), "%v", err)
		return
	}
	hidden, err := v.hiddenIn(relative, dir)
	if err != nil {
		v.findings.add(relative, makeReadable(), "%v", err)
		return
	}
	projected := v.checkProjection(relative, entries)
	for _, e := range entries {
		if projected && (isProjection(e.Name()) || isProjected(filepath.Join(dir, e.Name()))) {
			continue
		}
		name, full := filepath.ToSlash(filepath.Join(relative, e.Name())), filepath.Join(dir, e.Name())
		switch kind := hidden[e.Name()].Kind; {
		case kind == durable.Current:
		case kind == durable.Leftover || kind == durable.Headless:
			v.reportLeftover(name, full, hidden[e.Name()])
		case e.Type()&fs.ModeSymlink != 0:
			v.checkSymlink(root, name, full)
		case e.IsDir():
			v.checkFolderMode(name, full)
			v.checkOwner(name, full)
			v.walk(root, name, full)
		case e.Type().IsRegular():
			v.checkFileMode(name, full)
		default:
			v.findings.add(name, Fix{paste("rm %s", v.pathOf(name))}, "is neither a file nor a folder")
		}
	}
}

// checkProjection reports a bundle into which "pki install" brought keys, as former releases allowed, and
// whether it is one. These are the keys in use, so nothing in it is to be removed by hand.
func (v *verification) checkProjection(relative string, entries []fs.DirEntry) bool {
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == durable.DataLink }) {
		return false
	}
	for _, b := range v.plan.Bundles {
		if at := bundlePath(relative + "/."); path.Clean(at) != b.Path && !strings.HasPrefix(at, b.Path+"/") {
			continue
		}
		if strings.Contains(relative, "/.") {
			return true // a former version, which the next run removes
		}
		fix := Fix{say("the next certificate makes plain files of all, with the same keys:"), v.renewLeaf(b.Leaves[0].Name)}
		v.findings.add(path.Join(relative, durable.DataLink), fix, "was made by pki install, which is for the folders of nodes")
		return true
	}
	return false
}

// isProjected reports whether a path is the symlink of a file that "pki install" brought.
func isProjected(path string) bool {
	target, err := os.Readlink(path)
	return err == nil && strings.HasPrefix(target, durable.DataLink+"/")
}

// hiddenIn returns the hidden entries of a folder that belong to bundles, by their names.
func (v *verification) hiddenIn(relative, dir string) (map[string]durable.Hidden, error) {
	found, err := durable.ListHidden(dir)
	if err != nil {
		return nil, err
	}
	folders, err := v.store.bundleFolders()
	if err != nil {
		return nil, err
	}
	hidden := map[string]durable.Hidden{}
	for _, h := range found {
		if slices.Contains(folders, relative) || h.Bundle == "" {
			hidden[h.Name] = h
		}
	}
	return hidden, nil
}

// reportLeftover adds the finding about what a killed run left, with the keys in it.
func (v *verification) reportLeftover(name, full string, h durable.Hidden) {
	var keys []string
	err := filepath.WalkDir(full, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var key bool
			if key, err = isKeyFile(path); key {
				keys = append(keys, filepath.Base(path))
			}
		}
		return err
	})
	holds := ""
	switch {
	case err != nil:
		holds = fmt.Sprintf("; what it holds cannot be read: %v", trimPath(err))
	case len(keys) > 0:
		holds = "; it holds private keys: " + strings.Join(keys, ", ")
	}
	if h.Kind == durable.Headless {
		v.findings.add(name, Fix{
			say("if a copy of the store lost the symlink, make it again:"),
			{Text: v.store.symlinkCommand(name), Paste: true},
			say("or let the next run make it, if the version is whole; what a killed run left it removes:"), v.renew(),
		}, "is a version of %s, but no symlink leads to it%s", h.Bundle, holds)
		return
	}
	v.findings.add(name, Fix{say("the next run removes it:"), v.renew()}, "was left by a run that was killed%s", holds)
}

// isKeyElsewhere reports whether a path is that of an authority's key. It may be a symlink of root or the
// caller to where the key is kept, such as a USB stick that is not always there.
func (v *verification) isKeyElsewhere(name, full string) bool {
	leaf, planned := v.keyOwner(name)
	info, err := os.Lstat(full)
	if err != nil || !planned || leaf != "" {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// checkSymlink follows the symlink of a bundle, and reports any other one.
func (v *verification) checkSymlink(root, name, full string) {
	target, err := filepath.EvalSymlinks(full)
	switch {
	case v.isKeyElsewhere(name, full) && errors.Is(err, fs.ErrNotExist):
	case v.isKeyElsewhere(name, full) && err == nil:
		v.checkFileMode(name, target)
	case errors.Is(err, fs.ErrPermission):
		v.reportUnreadable(name, err)
	case err != nil:
		fix := Fix{paste("rm %s", v.pathOf(name))}
		if _, planned := v.keyOwner(name); planned {
			fix = Fix{say("bring back what it leads to, such as a medium that was taken off this machine")}
		}
		v.findings.add(name, fix, "leads nowhere: %v", err)
	case target != root && !strings.HasPrefix(target, root+string(filepath.Separator)):
		v.findings.add(name, Fix{say("replace it by a copy of its target")}, "leads out of the store, to %s", target)
	default:
		dir, base := filepath.Split(full)
		version, err := durable.BundleVersion(filepath.Clean(dir), base)
		if err != nil || version == 0 {
			fix := Fix{paste("rm %s", v.pathOf(name))}
			if _, planned := v.keyOwner(name); planned {
				fix = Fix{say("it leads to a key in use: replace it by a copy of its target, with mode 0600")}
			}
			v.findings.add(name, fix, "is not the symlink of a bundle")
			return
		}
		v.checkFolderMode(name, target)
		v.checkOwner(name, target)
		v.walk(root, name, target)
	}
}

func (v *verification) checkFolderMode(name, full string) {
	info, err := os.Stat(full)
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		v.findings.add(name, Fix{paste("chmod go-w %s", v.pathOf(name))}, "has mode %04o: others can put files here", info.Mode().Perm())
	}
}

// reportUnreadable adds the finding about a file that could not be looked at.
func (v *verification) reportUnreadable(name string, err error) {
	v.findings.add(name, makeReadable(), "cannot be read, so it may hold a key: %v", trimPath(err))
}

func (v *verification) checkFileMode(name, full string) {
	info, err := os.Stat(full)
	if err != nil {
		v.reportUnreadable(name, err)
		return
	}
	owner, planned := v.keyOwner(name)
	mode := info.Mode().Perm()
	key, err := isKeyFile(full)
	if err != nil {
		v.reportUnreadable(name, err)
	}
	misplaced := v.misplacedKey(name, full)
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
	case misplaced != "":
		fix := Fix{say("whoever has it can sign for the whole cluster; remove it:"), paste("rm -f %s", v.pathOf(name))}
		if !v.hasKey(misplaced) {
			fix = Fix{say("whoever has it can sign for the whole cluster. The store has no other copy: bring it to where the root's key is kept, and check that you can use it there, before you remove it here")}
		}
		v.findings.add(name, fix, "holds the private key of %s", misplaced)
	case key && !planned && certOf != "":
		v.findings.add(name, Fix{v.renewKey(certOf)}, "has a private key in it, as well as its certificate")
	case key && !planned:
		v.findings.add(name, Fix{say("remove it from this machine")}, "is a private key that the plan does not have")
	}
}

// hasKey reports whether an authority has its key in its place, plain or encrypted, or its program has it.
func (v *verification) hasKey(name string) bool {
	for _, a := range v.plan.Authorities {
		if a.Name != name {
			continue
		}
		plain, plainErr := exists(v.pathOf(path.Join(a.Path(), caKeyName)))
		encrypted, encryptedErr := exists(v.pathOf(path.Join(a.Path(), encryptedKeyName)))
		return errors.Join(plainErr, encryptedErr) == nil && (plain || encrypted || a.external != nil)
	}
	return false
}

// misplacedKey returns the name of the authority whose private key a file holds, if the key does not belong
// there; empty if there is none. The previous version of an authority may have the key that the current
// one has.
func (v *verification) misplacedKey(name, full string) string {
	keys, err := keysIn(full)
	if err != nil {
		return "" // a finding already
	}
	for _, a := range v.plan.Authorities {
		c := v.cas[a.Name]
		if c == nil || name == path.Join(a.Path(), caKeyName) || !slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return samePublicKey(k, c.cert.PublicKey) }) {
			continue
		}
		if former, err := v.store.formerKey(a); err == nil && name == former {
			return "" // a finding already
		}
		there, err := exists(v.pathOf(path.Join(a.Path(), caKeyName)))
		dir, base := path.Split(path.Dir(name))
		hidden, listErr := v.store.listHidden(dir)
		at := slices.IndexFunc(hidden, func(h durable.Hidden) bool { return h.Name == base && h.Kind == durable.Previous })
		if bundlePath(name) == path.Join(a.Path(), caKeyName) && errors.Join(err, listErr) == nil && there && at >= 0 {
			return ""
		}
		return a.Name
	}
	return ""
}

// bundlePath returns the path of a file by the name of its bundle, for a path in a version of the bundle.
func bundlePath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts[:len(parts)-1] {
		if hidden, ok := strings.CutPrefix(part, "."); ok {
			if _, err := strconv.Atoi(strings.TrimPrefix(path.Ext(hidden), ".")); err == nil {
				parts[i] = strings.TrimSuffix(hidden, path.Ext(hidden))
			}
		}
	}
	return strings.Join(parts, "/")
}

// checkOwner checks that a file or folder belongs to root or the caller. The files of nodes and clients may be
// etcd's user's, but then they belong to the owner of their folder: if root wrote a key into it, the member
// does not start. No fix gives anything else away.
func (v *verification) checkOwner(name, full string) {
	file, err := durable.OwnerOf(full)
	folder, folderErr := durable.OwnerOf(filepath.Dir(full))
	if errors.Join(err, folderErr) != nil {
		return
	}
	me := durable.Process().UID
	trusted := func(uid int) bool { return uid == 0 || uid == me }
	top, _, _ := strings.Cut(name, "/")
	given := top == nodesFolder || top == clientsFolder
	switch info, err := os.Stat(full); {
	case !given && !trusted(file.UID) && file.UID != v.storeUID:
		v.findings.add(name, Fix{say("if you trust what is there:"), paste("chown %s %s", strconv.Itoa(me), v.pathOf(name))}, "belongs to user %d, who can change it", file.UID)
	case file.UID != folder.UID && (given || trusted(folder.UID)) && err == nil && !info.IsDir():
		v.findings.add(name, Fix{paste("chown --reference=%s %s", v.pathOf(path.Dir(name)), v.pathOf(name))}, "belongs to user %d, but its folder belongs to user %d", file.UID, folder.UID)
	}
}

// checkHands checks the store's own folder and those above it, as the verbs that change a store do. What is
// in the folder of another user is that user's anyhow, so it gets no findings of its own for that.
func (v *verification) checkHands(root string) {
	if owner, err := durable.OwnerOf(root); err == nil {
		v.storeUID = owner.UID
	}
	fault, ok := errors.AsType[*durable.TrustError](durable.CheckTrusted(root))
	if ok && (fault.Path != root || fault.Owner.UID != 0 && fault.Owner.UID != durable.Process().UID) { // its mode has a finding already
		v.findings.add(".", Fix{say("%s", fault.Fix)}, "is not safe from others: %s", fault.Problem())
	}
}

// isKeyFile reports whether a file holds a key. It checks the content: a key can have any name. A file
// that is larger than any key is none.
func isKeyFile(full string) (bool, error) {
	info, err := os.Stat(full)
	if err != nil || info.Size() > maxPEMSize {
		return false, err
	}
	data, err := durable.ReadFile(full, maxPEMSize)
	return err == nil && (strings.Contains(string(data), "PRIVATE KEY-----") || parseKeyDER(data) != nil), err
}

// certificateOwner returns the name of the leaf whose certificate the plan has at that path, or an
// empty name.
func (v *verification) certificateOwner(name string) string {
	name = bundlePath(name)
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
	name = bundlePath(name)
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
