package host

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/etcdsec/etcdsec/audit"
)

// maxPEMFiles is how many files of one folder are read. A PKI dir has a dozen; /etc/ssl/certs
// has some hundreds, none of them etcd's.
const maxPEMFiles = 64

// describeFiles adds the files of a program, and what its encryption configuration says.
func (c *collector) describeFiles(o *instance) {
	s := o.settings
	onHost := &view{host: c.host}
	for _, f := range o.files {
		if f.role == audit.ConfigFile {
			c.addFile(s, f, o.view, "config-file")
			continue
		}
		c.addFile(s, f, onHost)
	}
	if o.script {
		return
	}
	var folders []folder
	for _, f := range fileFlags(s.Program) {
		if s.Fault(f.flag) != "" {
			continue
		}
		for _, value := range f.paths(s) {
			at := o.view.absolute(value)
			c.addFile(s, file{at, f.role}, o.view, f.flag)
			if !isPEM(f.role) {
				continue
			}
			for _, dir := range c.foldersOf(at, o.view) {
				if !slices.Contains(folders, dir) {
					folders = append(folders, dir)
				}
			}
		}
	}
	if s.Program == etcd && s.Value("data-dir") == "" && s.Fault("data-dir") == "" {
		c.addFile(s, file{o.view.absolute(dataDir(s)), audit.DataDir}, o.view)
	}
	for _, dir := range folders {
		if d := c.addFile(s, file{dir.path, audit.PKIDir}, dir.view); d.Reason != "" {
			continue
		}
		for _, name := range c.pemFiles(s, dir.path, dir.view) {
			c.addFile(s, file{path.Join(dir.path, name), roleByName(name)}, dir.view)
		}
	}
	c.readPEMs(o)
	c.readCRLs(o)
	if config := s.Value(encryptionConfig); config != "" && s.Program == kubeAPIServer && s.Fault(encryptionConfig) == "" {
		c.readEncryption(o, config)
	}
}

// folder is a folder as one program sees it.
type folder struct {
	path string
	view *view
}

// foldersOf returns the folders with what lies beside a file of a program. Who gets onto the node
// is on the host, so that the folder counts in which the file is there: a container may have each
// file from another folder, and none of those that lie beside it. The container's own folder
// counts too where its files may be of no folder of the host.
func (c *collector) foldersOf(name string, v *view) []folder {
	onHost := &view{host: c.host}
	var folders []folder
	add := func(name string) {
		folders = append(folders, folder{path.Dir(name), onHost})
		// A symlink leads to a file that has neighbours of its own. Where it stays in its folder,
		// as in the volumes of a kubelet, these are the same files again.
		target, err := c.host.resolve(name)
		dir, dirErr := c.host.resolve(path.Dir(name))
		if err == nil && dirErr == nil && !isBelow("/"+target, "/"+dir) {
			folders = append(folders, folder{path.Dir("/" + target), onHost})
		}
	}
	at, onTheHost := v.hostPath(name)
	if onTheHost {
		add(at)
	}
	for _, m := range v.mounts {
		if path.Dir(m.inside) != path.Dir(name) || m.inside == name || m.outside == "" {
			continue
		}
		if info, err := c.host.stat(m.outside); err == nil && info.Mode().IsRegular() {
			add(m.outside)
		}
	}
	if own, _ := v.hostPath(path.Dir(name)); !onTheHost || v.own != nil && own != path.Dir(at) {
		folders = append(folders, folder{path.Dir(name), v})
	}
	return folders
}

func isPEM(role audit.FileRole) bool { return role == audit.CertFile || role == audit.KeyFile }

// addFile adds a file to those of a program, unless it is there already, and notes the flags
// that name it.
func (c *collector) addFile(s *audit.Settings, f file, v *view, flags ...string) audit.File {
	found := c.file(f.path, f.role, v)
	at := slices.IndexFunc(s.Files, func(other audit.File) bool { return other.Path == found.Path })
	if at < 0 {
		at = len(s.Files)
		s.Files = append(s.Files, found)
	}
	for _, flag := range flags {
		if !slices.Contains(s.Files[at].Flags, flag) {
			s.Files[at].Flags = append(s.Files[at].Flags, flag)
		}
	}
	return s.Files[at]
}

// readEncryption reads the encryption configuration of an API server.
func (c *collector) readEncryption(o *instance, config string) {
	data, err := o.view.readFile(config, maxFile)
	if err == nil {
		o.settings.Encryption = parseEncryption(o.view.absolute(config), data, o.settings)
		clear(data)
	} else {
		o.settings.Faults = append(o.settings.Faults, audit.Fault{Subject: o.view.absolute(config), Reason: explainError(err)})
		return
	}
	automatic := o.settings.Enabled(encryptionReload)
	if !automatic && o.process.startedBefore(o.view.modTime(config)) {
		o.settings.Faults = append(o.settings.Faults, audit.Fault{Subject: o.view.absolute(config), Reason: "it was changed after the process started, which encrypts as it was before: restart it"})
	}
}

// file describes one file without opening it.
func (c *collector) file(name string, role audit.FileRole, v *view) audit.File {
	p, err := v.find(name)
	f := audit.File{Path: makePrintable(p.host), Role: role}
	var info fs.FileInfo
	if err == nil {
		info, err = p.tree.stat(p.path)
	}
	if err != nil {
		f.Reason = explainError(err)
		return f
	}
	f.Mode = info.Mode()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		f.UID, f.GID = stat.Uid, stat.Gid
		f.Owner, f.Group = c.names.user(stat.Uid), c.names.group(stat.Gid)
		_, user := c.names.users[stat.Uid]
		if _, group := c.names.groups[stat.Gid]; !user || !group {
			f.Unnamed = c.names.unread
		}
	}
	return f
}

// pemFiles returns the files of a folder whose names are those of certificates or keys.
func (c *collector) pemFiles(s *audit.Settings, dir string, v *view) []string {
	p, err := v.find(dir)
	var names []string
	if err == nil {
		names, err = p.tree.names(p.path, maxNames)
	}
	if err != nil {
		s.Faults = append(s.Faults, audit.Fault{Subject: makePrintable(p.host), Reason: "its files could not be listed: " + explainError(err)})
		return nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return roleByName(name) == "" })
	if len(names) > maxPEMFiles {
		s.Faults = append(s.Faults, audit.Fault{Subject: makePrintable(p.host), Reason: "of its " + strconv.Itoa(len(names)) + " certificates and keys, only the first " + strconv.Itoa(maxPEMFiles) + " were looked at"})
		names = names[:maxPEMFiles]
	}
	return names
}

// roleByName returns the role of a file by its name; empty if it is neither a certificate nor a
// key. A copy that somebody put aside, such as ca.key.old, has the role of the original; a public
// or an encrypted one has none.
func roleByName(name string) audit.FileRole {
	name = strings.TrimRight(name, "~")
	for range 2 {
		ext := path.Ext(name)
		if slices.Contains([]string{".crt", ".cer", ".pem", ".cert", ".key", ".pub", ".age", ".gpg", ".asc", ".enc", ""}, ext) {
			break
		}
		name = strings.TrimSuffix(name, ext)
	}
	switch path.Ext(name) {
	case ".crt", ".cer", ".pem", ".cert":
		if strings.Contains(name, "key") {
			return audit.KeyFile
		}
		return audit.CertFile
	case ".key":
		return audit.KeyFile
	default:
		return ""
	}
}
