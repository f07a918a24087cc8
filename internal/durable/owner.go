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
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			if uid, numberErr := strconv.Atoi(name); numberErr == nil && uid >= 0 {
				u, err = &user.User{Uid: name, Gid: name}, nil // a user of the node, unknown here
			}
		}
	}
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
	uid, uidErr := strconv.Atoi(u.Uid)
	gidNumber, gidErr := strconv.Atoi(gid)
	if uidErr != nil || gidErr != nil || uid < 0 || gidNumber < 0 {
		return nil, fmt.Errorf("%q: no such group here; give a number, such as 1000:1000", s)
	}
	return &Owner{UID: uid, GID: gidNumber}, nil
}
