package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Open reads what files opens. If it cannot be read, the subject holds the error.
func Open(files *input.Files, path string) *Subject {
	data, info, err := files.ReadInfo(path, encryption.MaxSize)
	if path == input.Stdin {
		path = "stdin"
	}
	s := &Subject{Path: path, Unread: err}
	if err == nil {
		s = Read(path, data)
	}
	if info != nil {
		s.Mode, s.HasMode = info.Mode(), info.Mode().IsRegular()
	}
	return s
}

// WriteFixed writes the corrected file beside the file of a subject, and returns its path and the
// corrections; none if no fault has exactly one correction. It does not replace a file of that name
// with other content, because that may hold the only copy of a key.
func WriteFixed(s *Subject) (path string, changes []string, err error) {
	fixed, changes := Fix(s)
	if len(changes) == 0 {
		return "", nil, nil
	}
	path = filepath.Join(filepath.Dir(s.Path), FixedName(filepath.Base(s.Path)))
	text, err := fixed.Render("Corrected by etcdsec encryption lint --fix.")
	if err != nil {
		return "", nil, err
	}
	there, err := durable.ReadFile(path, encryption.MaxSize)
	switch {
	case err == nil && string(there) == string(text):
		return path, changes, nil
	case err == nil:
		return "", nil, fmt.Errorf("%s exists and has other content: move it away", path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", nil, err
	}
	return path, changes, durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: 0o600, Data: text}, nil)
}
