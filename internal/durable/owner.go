package durable

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

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
