// Package etcdtest starts real etcd servers of exact versions, for tests and for the
// demo. Nothing here imitates etcd: each version is built from its published module.
package etcdtest

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

// The exact releases that can be started.
const (
	V3_5 = "3.5.35"
	V3_6 = "3.6.16"
	V3_7 = "3.7.3"
	// Vulnerable is what kubeadm 1.36 installs. CVE-2026-33413 and others apply to it.
	Vulnerable = "3.6.8"
)

// Versions are those that a cluster may run, oldest first.
func Versions() []string { return []string{V3_5, V3_6, V3_7} }

// modules are the folders below test/ that pin them.
func modules() map[string]string {
	return map[string]string{V3_5: "etcd-3.5", V3_6: "etcd-3.6", V3_7: "etcd-3.7", Vulnerable: "etcd-3.6.8"}
}

// Binary returns the path of the etcd server of a version. The first call on a machine
// builds it, which takes up to a minute and is said on progress; later calls find it in
// $ETCDSEC_CACHE, or in etcdsec/ below the user's cache folder.
func Binary(ctx context.Context, version string, progress io.Writer) (string, error) {
	module, err := moduleDir(version)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := sourceHash(module)
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "etcd-"+version+"-"+key)
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
	_, _ = fmt.Fprintf(progress, "building etcd %s from its module, once (up to a minute)\n", version)
	if err := build(ctx, module, path); err != nil {
		return "", fmt.Errorf("building etcd %s: %w", version, err)
	}
	return path, nil
}

func build(ctx context.Context, module, path string) error {
	tmp := path + ".tmp"
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", tmp, ".")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return os.Rename(tmp, path)
}

// moduleDir is the folder of the module below test/ that pins a version.
func moduleDir(version string) (string, error) {
	module, ok := modules()[version]
	if !ok {
		return "", fmt.Errorf("no etcd %q here; there are %s", version, strings.Join(Versions(), ", "))
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "test", module), nil
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
			return "", fmt.Errorf("%s is not inside the etcdsec repository, whose test/ folder pins the etcd versions", dir)
		}
	}
}

func cacheDir() (string, error) {
	dir := os.Getenv("ETCDSEC_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a place for built etcd servers: %w; or set ETCDSEC_CACHE", err)
		}
		dir = filepath.Join(user, "etcdsec")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// sourceHash changes with the pinned versions, the program and the Go release.
func sourceHash(module string) (string, error) {
	h := sha256.New()
	_, _ = io.WriteString(h, runtime.Version()) // a hash takes every write
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
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
