// Package posixacl reads the access control lists of files (acl(5)), which give rights to single users and
// groups beside the owner, the group and all others.
package posixacl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// The extended attributes with the lists, and their layout (linux/posix_acl_xattr.h).
const (
	accessName  = "system.posix_acl_access"
	defaultName = "system.posix_acl_default"

	version   = 2
	entrySize = 8

	tagUser  = 0x02
	tagGroup = 0x08
	tagMask  = 0x10

	maxSize = 64 << 10 // of an extended attribute (XATTR_SIZE_MAX)
)

// A Grant gives rights to one user or group by its number.
type Grant struct {
	Group bool
	ID    uint32
	Perm  uint16 // as in a mode: 4 to read, 2 to write, 1 to run or enter
}

func (g Grant) String() string {
	number := strconv.FormatUint(uint64(g.ID), 10)
	if g.Group {
		if group, err := user.LookupGroupId(number); err == nil {
			return "group " + group.Name
		}
		return "group " + number
	}
	if u, err := user.LookupId(number); err == nil {
		return "user " + u.Username
	}
	return "user " + number
}

// Of returns what the list of an open file or folder gives to single users and groups, as far as its mask
// allows it.
func Of(fd int) ([]Grant, error) {
	// A descriptor that was opened with O_PATH has no attributes of its own.
	return read("/proc/self/fd/"+strconv.Itoa(fd), accessName, unix.Getxattr)
}

// At is [Of] for what has a name in an open folder. It follows no symlink of that name.
func At(fd int, name string) ([]Grant, error) {
	return read("/proc/self/fd/"+strconv.Itoa(fd)+"/"+name, accessName, unix.Lgetxattr)
}

// DefaultOf returns what the entries that are made in an open folder give to single users and groups, as far
// as their own modes allow it.
func DefaultOf(fd int) ([]Grant, error) {
	return read("/proc/self/fd/"+strconv.Itoa(fd), defaultName, unix.Getxattr)
}

// read reads and parses a list. A file without one, or in a file system without lists, has no grants.
func read(path, name string, get func(path, name string, into []byte) (int, error)) ([]Grant, error) {
	data := make([]byte, maxSize)
	n, err := get(path, name, data)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading its access control list: %w", err)
	}
	return parse(data[:n])
}

func parse(data []byte) ([]Grant, error) {
	if len(data) < 4 || binary.LittleEndian.Uint32(data) != version || (len(data)-4)%entrySize != 0 {
		return nil, errors.New("its access control list has an unknown form")
	}
	var grants []Grant
	mask := uint16(7)
	for rest := data[4:]; len(rest) > 0; rest = rest[entrySize:] {
		tag, perm := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:])
		switch tag {
		case tagUser, tagGroup:
			grants = append(grants, Grant{Group: tag == tagGroup, ID: binary.LittleEndian.Uint32(rest[4:]), Perm: perm})
		case tagMask:
			mask = perm
		}
	}
	var effective []Grant
	for _, g := range grants {
		if g.Perm &= mask; g.Perm != 0 {
			effective = append(effective, g)
		}
	}
	return effective, nil
}
