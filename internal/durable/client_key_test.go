package durable

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// giveUser lets user 4242 read and write a path by its access control list, or what is made in it.
func giveUser(t *testing.T, path, attribute string) {
	t.Helper()
	data := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 7, 1<<32 - 1}, {2, 6, 4242}, {4, 0, 1<<32 - 1}, {0x10, 6, 1<<32 - 1}, {0x20, 0, 1<<32 - 1}} {
		data = binary.LittleEndian.AppendUint16(data, uint16(e[0]))
		data = binary.LittleEndian.AppendUint16(data, uint16(e[1]))
		data = binary.LittleEndian.AppendUint32(data, e[2])
	}
	if err := unix.Setxattr(path, attribute, data, 0); err != nil {
		t.Skip("this file system has no access control lists: ", err)
	}
}

func TestReadClientKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir, key string)
		fault  string // empty: it is read
		fix    string
		root   bool
	}{
		"0600":                      {change: func(*testing.T, string, string) {}},
		"0400":                      {change: func(t *testing.T, _, key string) { must(t, os.Chmod(key, 0o400)) }},
		"world-readable":            {change: func(t *testing.T, _, key string) { must(t, os.Chmod(key, 0o644)) }, fault: "mode 0644", fix: "chmod 600 "},
		"group-writable":            {change: func(t *testing.T, _, key string) { must(t, os.Chmod(key, 0o620)) }, fault: "mode 0620", fix: "chmod 600 "},
		"an open folder":            {change: func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) }, fault: "mode 0777", fix: "chmod go-w "},
		"a shared folder like /tmp": {change: func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, os.ModeSticky|0o777)) }},
		"a list that names a user": {
			change: func(t *testing.T, _, key string) { giveUser(t, key, "system.posix_acl_access") }, fault: "access control list that lets user 4242", fix: "setfacl -b ",
		},
		"a list that chmod masks": {change: func(t *testing.T, _, key string) {
			giveUser(t, key, "system.posix_acl_access")
			must(t, os.Chmod(key, 0o600))
		}},
		"a list on the folder": {change: func(t *testing.T, dir, _ string) { giveUser(t, dir, "system.posix_acl_access") }, fault: "others can change it", fix: "chmod go-w "},
		"root's, for a group":  {root: true, change: func(t *testing.T, _, key string) { must(t, os.Chown(key, 0, 3000)); must(t, os.Chmod(key, 0o440)) }},
		"root's, for a group and a user": {root: true, fault: "access control list that lets user 4242", fix: "setfacl -b ", change: func(t *testing.T, _, key string) {
			giveUser(t, key, "system.posix_acl_access")
			must(t, os.Chmod(key, 0o640))
		}},
		"another user's": {root: true, change: func(t *testing.T, dir, key string) {
			must(t, os.Chown(dir, stranger.UID, stranger.GID))
			must(t, os.Chown(key, stranger.UID, stranger.GID))
		}},
		"another user's, for a group": {root: true, fault: "mode 0640", fix: "chmod 600 ", change: func(t *testing.T, dir, key string) {
			must(t, os.Chown(dir, stranger.UID, stranger.GID))
			must(t, os.Chown(key, stranger.UID, stranger.GID))
			must(t, os.Chmod(key, 0o640))
		}},
		"root's, in a folder of another user": {root: true, fault: "must belong to root", change: func(t *testing.T, dir, _ string) { must(t, os.Chown(dir, stranger.UID, stranger.GID)) }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.root {
				needRoot(t)
			}
			// As the kubelet mounts a Secret: the name leads through ..data to the current version.
			top := filepath.Join(t.TempDir(), "secret")
			dir := filepath.Join(top, "..2026")
			must(t, os.MkdirAll(dir, 0o755))
			key := filepath.Join(dir, "client.key")
			must(t, os.WriteFile(key, []byte(secret), 0o600))
			must(t, os.Symlink("..2026", filepath.Join(top, "..data")))
			must(t, os.Symlink("..data/client.key", filepath.Join(top, "client.key")))
			c.change(t, dir, key)
			data, err := ReadClientKey(filepath.Join(top, "client.key"), 1000)
			fault, distrusted := errors.AsType[*TrustError](err)
			switch {
			case c.fault == "":
				if err != nil || string(data) != secret {
					t.Errorf("%q, %v", data, err)
				}
			case !distrusted || !strings.Contains(fault.Fault, c.fault) || !strings.Contains(fault.Fix, c.fix):
				t.Errorf("%v; want %s, %s", err, c.fault, c.fix)
			}
		})
	}
}

// A folder whose default list opens what is made in it does not open a key that this package writes.
func TestKeysBelowADefaultList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	giveUser(t, dir, "system.posix_acl_default")
	must(t, SwapBundle(dir, "etcd-0", []File{{Name: "server.key", Mode: 0o600, Data: []byte(secret)}}, nil))
	must(t, WriteFile(dir, File{Name: "client.key", Mode: 0o600, Data: []byte(secret)}, nil))
	for _, name := range []string{"client.key", "etcd-0/server.key"} {
		if _, err := ReadClientKey(filepath.Join(dir, name), 1000); err != nil {
			t.Error(err)
		}
	}
}
