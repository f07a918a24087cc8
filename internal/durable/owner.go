package durable

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// ParseOwner reads "user[:group]", each a name of this machine or a number. Without a group
// it is the user's own. The empty string is no owner.
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

// lookupUser returns the user of a name or number. A number may be of a user of the node,
// who is unknown here: then the group has the same number.
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

// parseID reads the number of a user or group. Linux has 32 bits for it; the highest number
// is none: chown(2) takes it for "leave it as it is".
func parseID(s string) (int, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = strconv.ErrRange
	}
	return int(id), err
}
