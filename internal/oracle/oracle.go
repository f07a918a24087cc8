// Package oracle builds the programs with which tests and the demo check etcdsec: etcd servers of exact
// versions, kubeadm, cfssl. Each is a separate module below test/, so that the module graph of the
// product stays small. Each is built once on a machine.
package oracle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Modules returns the folders below test/ with a program.
func Modules() []string {
	return []string{"etcd-3.5", "etcd-3.6", "etcd-3.7", "etcd-3.6.8", "cfssl", "kubeadm", "kube-apiserver", "k8s-api", "encryptionconfig", "policy-types", "kube-network-policies", "zlint"}
}

// Binary returns the path of the program of a module below test/. The first call on a machine
// builds it, which takes up to a few minutes, and says so on progress. Later calls find it in
// $ETCDSEC_CACHE, or in etcdsec/ below the user's cache folder.
func Binary(ctx context.Context, module string, progress io.Writer) (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "test", module)
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	key, err := sourceHash(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, module+"-"+key)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// The packages of one `go test ./...` run at once; one of them builds.
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	_, _ = fmt.Fprintf(progress, "building test/%s, once (up to a few minutes)\n", module)
	if err := build(ctx, dir, path); err != nil {
		return "", fmt.Errorf("building test/%s: %w", module, err)
	}
	return path, nil
}

// ldflagsName is the file with the linker flags of a module, such as a version.
const ldflagsName = "ldflags"

func build(ctx context.Context, module, path string) error {
	tmp := path + ".tmp"
	more, err := os.ReadFile(filepath.Join(module, ldflagsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	flags := strings.TrimSpace("-s -w " + string(more))
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags="+flags, "-o", tmp, ".")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return os.Rename(tmp, path)
}

// repositoryRoot walks up from the working directory, which `go test` sets to the package's folder.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "test", "etcd-3.6", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside the etcdsec repository, whose test/ folder has the programs", dir)
		}
	}
}

// CacheDir creates the folder for what tests build and returns it: $ETCDSEC_CACHE, or etcdsec/
// below the user's cache folder.
func CacheDir() (string, error) {
	dir := os.Getenv("ETCDSEC_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding the cache folder for built programs: %w; or set ETCDSEC_CACHE", err)
		}
		dir = filepath.Join(user, "etcdsec")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// sourceHash returns a hash of the pinned versions, the program and the Go release.
func sourceHash(module string) (string, error) {
	h := sha256.New()
	_, _ = io.WriteString(h, runtime.Version()) // a hash takes every write
	for _, name := range []string{"go.mod", "go.sum", "main.go", ldflagsName} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil && (name != ldflagsName || !errors.Is(err, fs.ErrNotExist)) {
			return "", err
		}
		_, _ = h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { _ = f.Close() }, nil
}
