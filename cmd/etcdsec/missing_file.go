package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// asUsage turns a failure about a path of the command line that does not exist into a usage error: the
// command line is wrong, and not the work. Other errors stay as they are.
func asUsage(err error, args []string) error {
	failed, ok := errors.AsType[statusError](err)
	if !ok || failed.status != statusFailed {
		return err
	}
	if !isMissing(failed.err, args) {
		return err
	}
	failed.status = statusUsage
	return failed
}

// isMissing reports whether an error, or one of those that it joins, is about a path of the command line
// that does not exist.
func isMissing(err error, args []string) bool {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return isMissing(err, args) })
	}
	missing, ok := errors.AsType[*fs.PathError](err)
	return ok && errors.Is(missing, fs.ErrNotExist) && isGiven(missing.Path, args)
}

// isGiven reports whether a path is on the command line, or is in a folder on it that does not exist.
func isGiven(path string, args []string) bool {
	for _, arg := range args {
		for _, word := range strings.FieldsFunc(arg, func(r rune) bool { return r == '=' || r == ',' }) {
			if word == path {
				return true
			}
			if !strings.HasPrefix(path, strings.TrimSuffix(filepath.Clean(word), "/")+"/") {
				continue
			}
			if _, err := os.Lstat(word); errors.Is(err, fs.ErrNotExist) {
				return true
			}
		}
	}
	return false
}
