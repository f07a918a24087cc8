package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/posixacl"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// ReadClientKey is ReadFile for the private key with which a client logs in to a server. Only the owner of
// the file may be able to read it; of a file of root's, also its group, as libpq has it and a Secret in a Pod
// with fsGroup needs it. Nobody else may be able to exchange it: it and the folders above it belong to root
// or to this process's user, and root also takes a key of another user below that user's folders. The error
// about anything else is a [TrustError].
func ReadClientKey(path string, limit int64) ([]byte, error) {
	w := walker{}
	d, name, err := w.locate(path)
	if err != nil {
		return nil, err
	}
	there, err := d.lstat(name)
	d.close()
	if err != nil {
		return nil, err
	}
	w.strict = true
	if os.Geteuid() == 0 {
		w.also = there.owner.UID
	}
	if d, name, err = w.locate(path); err != nil {
		return nil, err
	}
	defer d.close()
	data, found, err := d.readFile(name, limit)
	if err == nil {
		err = found.checkClientKey(filepath.Join(d.path, name), w.trusts(found.owner.UID))
	}
	return data, err
}

// checkClientKey returns a TrustError if others than the owner may read or change a key, or if nobody trusts
// the owner.
func (e entry) checkClientKey(path string, trusted bool) error {
	const groupRead = 0o040
	fault := &TrustError{Path: path, Owner: e.owner}
	switch extra := e.mode.Perm() & 0o077; {
	case !trusted:
		return e.distrust(path, false)
	case len(e.grants) > 0:
		fault.Fault = fmt.Sprintf("has an access control list that lets %s read or change it", e.grants[0])
		fault.Fix = "if you still trust it: setfacl -b " + shellword.Path(path)
	case extra == 0 || extra == groupRead && e.owner.UID == 0:
		return nil
	default:
		fault.Fault = fmt.Sprintf("has mode %04o, so others may have read or changed the key", e.mode.Perm())
		fault.Fix = "if you still trust it: chmod 600 " + shellword.Path(path) + "   # in a Pod: defaultMode: 0440 and fsGroup"
	}
	return fault
}

// grantsOf returns what an access control list gives to single users and groups. Where there is such a
// list, the permission bits of the group show the most that it gives.
func grantsOf(mode uint32, read func() ([]posixacl.Grant, error)) []posixacl.Grant {
	if mode&0o070 == 0 || mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	grants, err := read()
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return []posixacl.Grant{{}} // a list that cannot be read may give anything
	}
	return grants
}
