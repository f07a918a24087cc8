package host

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// view holds the files that one program sees: the host's; its container's, by /proc/PID/root;
// or, for a static Pod that does not run, the files that its volumes bring in.
type view struct {
	host *tree
	own  *tree  // by /proc/PID/root; nil if it was not seen
	at   string // of own, as a path on the host

	// elsewhere says why a file that no volume brings in cannot be read; nil if the program
	// sees the host's own files.
	elsewhere error
	mounts    []mount
	dir       string // its working directory
}

// mount is a file or folder of a container that is not of its image.
type mount struct {
	inside  string
	outside string // on the host; empty of one that the host has not, such as an emptyDir
}

// place says where a file is.
type place struct {
	tree *tree
	path string // in the tree
	host string // as a path on the host
}

var (
	errInImage = errors.New("it is in the container's image, or in a volume that is not of the host")
	errOffline = errors.New("only the given file is read")
)

// absolute converts a path of the program to an absolute one.
func (v *view) absolute(name string) string {
	if name == "" || path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", v.dir, name)
}

// find returns where a file of the program is. The path on the host leads to the same file.
func (v *view) find(name string) (place, error) {
	name = v.absolute(name)
	outside, mounted := v.toHost(name)
	switch {
	case v.own != nil:
		p := place{tree: v.own, path: name, host: v.at + name}
		info, err := v.own.stat(name)
		if err != nil {
			p.host = outside
			return p, err
		}
		for _, candidate := range []string{name, outside} {
			if same, err := v.host.stat(candidate); err == nil && os.SameFile(same, info) {
				p.host = candidate
				break
			}
		}
		return p, nil
	case v.elsewhere != nil && !mounted:
		return place{host: name}, v.elsewhere
	default:
		p := place{tree: v.host, path: outside, host: outside}
		_, err := v.host.stat(outside)
		return p, err
	}
}

// hostPath returns the path on the host of a file of the program, which need not exist, and
// whether it is one: a file of an image, or of a volume that is not of the host, has none.
func (v *view) hostPath(name string) (string, bool) {
	name = v.absolute(name)
	outside, mounted := v.toHost(name)
	if mounted {
		return outside, true
	}
	if v.own == nil {
		return outside, v.elsewhere == nil
	}
	p, err := v.find(name)
	return p.host, err == nil && p.host != v.at+name
}

// toHost converts a path in a container to a path on the host, by the innermost volume.
func (v *view) toHost(name string) (string, bool) {
	best := -1
	for i, m := range v.mounts {
		if isBelow(name, m.inside) && (best < 0 || len(m.inside) > len(v.mounts[best].inside)) {
			best = i
		}
	}
	if best < 0 || v.mounts[best].outside == "" {
		return name, false
	}
	return path.Join(v.mounts[best].outside, strings.TrimPrefix(name, v.mounts[best].inside)), true
}

func isBelow(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func (v *view) readFile(name string, limit int64) ([]byte, error) {
	p, err := v.find(name)
	if err != nil {
		return nil, err
	}
	return p.tree.readFile(p.path, limit)
}

// modTime returns when a file was last written; zero if that is not known.
func (v *view) modTime(name string) time.Time {
	p, err := v.find(name)
	if err != nil {
		return time.Time{}
	}
	info, err := p.tree.stat(p.path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// explainError says why a file could not be read, without its path.
func explainError(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "it is not there"
	}
	return err.Error()
}
