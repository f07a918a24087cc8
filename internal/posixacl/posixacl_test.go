package posixacl

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// list encodes entries of a tag, permissions and a number each.
func list(entries ...[3]uint32) []byte {
	data := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range entries {
		data = binary.LittleEndian.AppendUint16(data, uint16(e[0]))
		data = binary.LittleEndian.AppendUint16(data, uint16(e[1]))
		data = binary.LittleEndian.AppendUint32(data, e[2])
	}
	return data
}

// The kernel takes a list of ours, hands it back, and masks it as chmod says.
func TestListsOfTheKernel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const none = 1<<32 - 1
	acl := list([3]uint32{1, 6, none}, [3]uint32{tagUser, 6, 4242}, [3]uint32{4, 0, none}, [3]uint32{tagGroup, 2, 4343}, [3]uint32{tagMask, 4, none}, [3]uint32{0x20, 0, none})
	if err := unix.Setxattr(path, accessName, acl, 0); err != nil {
		t.Skip("this file system has no access control lists: ", err)
	}
	if err := unix.Setxattr(dir, defaultName, acl, 0); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	want := []Grant{{ID: 4242, Perm: 4}} // the mask takes the rest
	if got, err := At(fd, "key"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := DefaultOf(fd); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := Of(fd); err != nil || got != nil {
		t.Errorf("a default list gives nothing of the folder: %v, %v", got, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := At(fd, "key"); err != nil || got != nil {
		t.Errorf("mode 0600 masks a list: %v, %v", got, err)
	}
	if _, err := At(fd, "absent"); err == nil {
		t.Error("no file has a list")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(list([3]uint32{tagUser, 7, 1}, [3]uint32{tagMask, 4, 0}))
	f.Add([]byte{2, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		grants, err := parse(data)
		if len(grants) > len(data)/entrySize || err != nil && grants != nil {
			t.Errorf("%v, %v", grants, err)
		}
	})
}
