package durable

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// rights are those of another user on files. Root takes them for its work in a folder of that user. So a
// trick of the user, such as a file that was moved or exchanged, reaches only what the user reaches
// anyhow.
type rights struct {
	uid, gid int
	groups   []int
}

// rightsOf returns the rights with which to work in a folder of the given owner; nil if they are those
// of the process.
func rightsOf(folder Owner) *rights {
	if os.Geteuid() != 0 || folder.UID == 0 {
		return nil
	}
	r := &rights{uid: folder.UID, gid: folder.GID}
	if r.gid == 0 { // as `chown etcd` leaves it: the user may be no member of root's group
		r.gid = folder.UID
	}
	u, err := user.LookupId(strconv.Itoa(folder.UID))
	if err != nil {
		return r // a user that this machine does not know, as in a container
	}
	if gid, err := parseID(u.Gid); err == nil {
		r.gid = gid
	}
	groups, err := u.GroupIds()
	if err != nil {
		return r
	}
	for _, group := range groups {
		if gid, err := parseID(group); err == nil {
			r.groups = append(r.groups, gid)
		}
	}
	return r
}

// run runs work with the rights, or with those of the process if r is nil.
func (r *rights) run(work func() error) error {
	if r == nil {
		return work()
	}
	done := make(chan error, 1)
	go func() {
		// It is never unlocked: the thread ends with the goroutine, and nothing else runs with its rights.
		runtime.LockOSThread()
		err := r.take()
		if err == nil {
			err = work()
		}
		done <- err
	}()
	return <-done
}

// take gives the rights to this thread. The kernel then also takes root's capabilities on files from it
// (setfsuid(2), capabilities(7)). These calls change one thread; those of package syscall change all.
func (r *rights) take() error {
	if err := unix.Setgroups(r.groups); err != nil {
		return r.refused(err)
	}
	for _, set := range []struct {
		id   int
		call func(int) (int, error)
	}{{r.gid, unix.SetfsgidRetGid}, {r.uid, unix.SetfsuidRetUid}} {
		// They report no errors. An invalid ID asks for the current one.
		_, err := set.call(set.id)
		if err != nil {
			return r.refused(err)
		}
		if now, _ := set.call(-1); now != set.id {
			return r.refused(unix.EPERM)
		}
	}
	return nil
}

func (r *rights) refused(err error) error {
	return fmt.Errorf("taking the rights of user %d, to whom the folder belongs: %w; run this as that user, or with the capabilities SETUID and SETGID", r.uid, err)
}
