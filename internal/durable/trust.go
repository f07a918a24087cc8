package durable

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"

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

func (e *TrustError) Error() string {
	text := fmt.Sprintf("%s (of %s) %s", e.Path, describeUser(e.Owner.UID), e.Fault)
	if e.Fix != "" {
		text += ": " + e.Fix
	}
	return text
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
