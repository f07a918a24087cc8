package durable

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Owner is a numeric owner. A nil *Owner keeps owners as they are: what is replaced keeps its own,
// and what is new gets that of its folder. Otherwise one run by root in a folder of another user
// would leave files there that this user cannot read. Only root can do so; what other users write is
// theirs.
type Owner struct{ UID, GID int }

// Process returns the owner of this process. New files get it instead of the owner of their folder
// if they are not meant for that user.
func Process() *Owner { return &Owner{UID: os.Geteuid(), GID: os.Getegid()} }

// OwnerOf returns the owner of a file or folder. It follows symlinks.
func OwnerOf(path string) (*Owner, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return ownerIn(info)
}

func ownerIn(info fs.FileInfo) (*Owner, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: this system has no numeric owners", info.Name())
	}
	return &Owner{UID: int(stat.Uid), GID: int(stat.Gid)}, nil
}

// toSet returns nil if a new file of this process has the owner anyhow, or if the process may not
// set it.
func (o *Owner) toSet() *Owner {
	me := Process()
	switch {
	case *o == *me:
		return nil
	case me.UID == 0:
		return o
	case o.UID == me.UID:
		if groups, err := os.Getgroups(); err == nil && slices.Contains(groups, o.GID) {
			return o
		}
	}
	return nil
}

// ParseOwner reads "user[:group]". Each is a name on this machine or a number. Without a group, it
// uses the user's primary group. The empty string means no owner.
func ParseOwner(s string) (*Owner, error) {
	if s == "" {
		return nil, nil
	}
	name, group, withGroup := strings.Cut(s, ":")
	u, err := lookupUser(name)
	if err != nil {
		return nil, fmt.Errorf("%q: no such user here; give a number, such as 1000:1000", s)
	}
	gid := u.Gid
	if withGroup {
		gid = group
		if g, err := user.LookupGroup(group); err == nil {
			gid = g.Gid
		}
	}
	uid, uidErr := parseID(u.Uid)
	gidNumber, gidErr := parseID(gid)
	if uidErr != nil || gidErr != nil {
		return nil, fmt.Errorf("%q: no such group here; give a number, such as 1000:1000", s)
	}
	return &Owner{UID: uid, GID: gidNumber}, nil
}

// lookupUser returns the user with a name or number. The number of a user of the node may be unknown
// here: then the group has the same number.
func lookupUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	// The C library cuts a number to 32 bits, so it is asked only for one that has no more.
	if _, err := parseID(name); err != nil {
		return nil, err
	}
	if u, err := user.LookupId(name); err == nil {
		return u, nil
	}
	return &user.User{Uid: name, Gid: name}, nil
}

// parseID reads the number of a user or group. It has 32 bits on Linux. The highest number is not
// valid: for chown(2) it means "do not change".
func parseID(s string) (int, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = strconv.ErrRange
	}
	return int(id), err
}
