package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// TrustError reports a file or folder that another user than root and the caller controls, where it must
// be in the hands of these.
type TrustError struct {
	Path  string
	Owner Owner
	Fault string // what is wrong with it, behind its path
	Fix   string // the command that mends it, or what to do; empty if there is nothing
}

// Problem returns what is wrong, without the fix.
func (e *TrustError) Problem() string {
	return fmt.Sprintf("%s (of %s) %s", e.Path, describeUser(e.Owner.UID), e.Fault)
}

func (e *TrustError) Error() string {
	if e.Fix == "" {
		return e.Problem()
	}
	return e.Problem() + ": " + e.Fix
}

// describeUser returns the name and number of a user.
func describeUser(uid int) string {
	if uid == 0 {
		return "root"
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return fmt.Sprintf("user %s, %d", u.Username, uid)
	}
	return fmt.Sprintf("user %d", uid)
}

// CheckTrusted checks a folder and every one above it, as sshd's StrictModes does: they belong to root or to
// this process's user, and nobody else may write there. Above it, one like /tmp is enough, in which nobody can
// rename what others have. The error is a [TrustError], or fs.ErrNotExist if there is no such folder
// and all above it are well.
func CheckTrusted(dir string) error {
	d, err := walker{strict: true}.open(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.distrust(false)
}

// CheckTree checks everything in a folder as CheckTrusted does the folder, except the entries with the given
// names and what is in them. It follows no symlink.
func CheckTree(dir string, except ...string) error {
	d, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.checkTree(except)
}

func (d *folder) checkTree(except []string) error {
	entries, err := d.list()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(except, e.Name()) {
			continue
		}
		if err := d.checkEntry(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d *folder) checkEntry(name string) error {
	there, err := d.lstat(name)
	if err != nil {
		return err
	}
	err = there.distrust(filepath.Join(d.path, name), false)
	if fault, ok := errors.AsType[*TrustError](err); ok && there.mode.IsDir() {
		// All in it is to belong to one user; chown -R follows no symlink.
		fault.Fix = strings.Replace(fault.Fix, ": chown ", ": chown -R ", 1)
	}
	if err != nil || !there.mode.IsDir() {
		return err
	}
	sub, err := d.child(name)
	if err != nil {
		return err
	}
	defer sub.close()
	return sub.checkTree(nil)
}

// distrust returns a TrustError if another user than root or this process's can change the folder. With
// sticky, it allows one in which nobody can rename what others have.
func (d *folder) distrust(sticky bool) error {
	return d.entry().distrust(d.path, sticky)
}

func (e entry) distrust(path string, sticky bool) error {
	if !isTrustedUser(e.owner.UID) {
		return &TrustError{
			Path: path, Owner: e.owner, Fault: "must belong to root or to the user who runs this",
			Fix: fmt.Sprintf("run this as its owner, or if you trust what is there: chown %s: %s", processName(), shellword.Path(path)),
		}
	}
	return e.checkWritable(path, sticky)
}

// checkWritable returns a TrustError if others than the owner can change the entry. With sticky, it allows a
// folder in which nobody can rename what others have.
func (e entry) checkWritable(path string, sticky bool) error {
	switch {
	case e.mode&fs.ModeSymlink != 0 || e.mode.Perm()&0o022 == 0 || sticky && e.mode&fs.ModeSticky != 0 || e.isPrivate():
		return nil
	}
	return &TrustError{
		Path: path, Owner: e.owner, Fault: fmt.Sprintf("has mode %04o, so others can change it", e.mode.Perm()),
		Fix: "chmod go-w " + shellword.Path(path),
	}
}

// isPrivate reports whether only the group of this process's user, which has the name of the user, may
// write too: many systems give each user a group without other members.
func (e entry) isPrivate() bool {
	if e.mode.Perm()&0o002 != 0 || len(e.grants) > 0 || os.Geteuid() == 0 || e.owner != *Process() {
		return false
	}
	u, userErr := user.LookupId(strconv.Itoa(e.owner.UID))
	g, groupErr := user.LookupGroupId(strconv.Itoa(e.owner.GID))
	return userErr == nil && groupErr == nil && u.Username == g.Name
}

// processName returns the name of this process's user, for a command line.
func processName() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	if u, err := user.Current(); err == nil {
		return shellword.Quote(u.Username)
	}
	return strconv.Itoa(os.Geteuid())
}

// planted returns the error about a symlink that is not followed.
func (d *folder) planted(name, target string, owner Owner) error {
	path := filepath.Join(d.path, name)
	fault := fmt.Sprintf("is a symlink to %s, which is not followed: its folder belongs to %s, who could make it lead anywhere", strconv.Quote(target), describeUser(d.owner.UID))
	if isTrustedUser(d.owner.UID) {
		fault = fmt.Sprintf("is a symlink to %s that another user made, so it is not followed", strconv.Quote(target))
	}
	return &TrustError{Path: path, Owner: owner, Fault: fault, Fix: "remove it, and put there what it leads to, or give that path: rm " + shellword.Path(path)}
}

// symlinkFault returns the error about a symlink where a file should be.
func (d *folder) symlinkFault(name string) error {
	there, err := d.lstat(name)
	if err != nil {
		return err
	}
	target, err := d.readlink(name)
	if err != nil {
		return err
	}
	path := filepath.Join(d.path, name)
	return &TrustError{
		Path: path, Owner: there.owner, Fault: fmt.Sprintf("is a symlink to %s, which is not followed", strconv.Quote(target)),
		Fix: "put the file itself there: rm " + shellword.Path(path),
	}
}

// foreign returns the error about a file of somebody who should have none in the folder.
func (d *folder) foreign(name string, e entry) error {
	path := filepath.Join(d.path, name)
	fault := fmt.Sprintf("is in a folder of %s, to whom it does not belong, so it is not used", describeUser(d.owner.UID))
	if e.links > 1 {
		fault = fmt.Sprintf("has %d names and is in a folder of %s, to whom it does not belong, so it is not used", e.links, describeUser(d.owner.UID))
		return &TrustError{Path: path, Owner: e.owner, Fault: fault, Fix: "remove it: rm " + shellword.Path(path)}
	}
	return &TrustError{
		Path: path, Owner: e.owner, Fault: fault,
		Fix: fmt.Sprintf("if you trust it: chown %d:%d %s", d.owner.UID, d.owner.GID, shellword.Path(path)),
	}
}
