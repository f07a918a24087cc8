package export

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki"
)

// maxPasswordSize is far longer, in bytes, than a person or a program makes a password.
const maxPasswordSize = 4096

// ErrPassword means that a password cannot protect a PKCS #12 file.
var ErrPassword = errors.New("not usable as a password")

// ReadPassword reads the only line of a file, or of what files opens besides. It refuses a file
// that others can read. Its errors never quote the password.
func ReadPassword(files *input.Files, path string) (string, error) {
	data, err := readPasswordFile(files, path)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if len(bytes.TrimSpace(rest)) > 0 {
		return "", fmt.Errorf("reading the password: %s has more than one line", path)
	}
	password := string(bytes.TrimSuffix(line, []byte("\r")))
	if err := CheckPassword(password); err != nil {
		return "", fmt.Errorf("reading the password: %s: %w", path, err)
	}
	return password, nil
}

func readPasswordFile(files *input.Files, path string) ([]byte, error) {
	data, err := pki.ReadSecret(files, path)
	if exposed, ok := errors.AsType[*pki.ModeError](err); ok {
		return nil, fmt.Errorf("%s has mode %04o, so others may have read it; take another password, in a file of mode 0600", path, exposed.Mode)
	}
	if err == nil && len(data) > maxPasswordSize {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxPasswordSize)
	}
	return data, err
}
