// Command etcdsec-demo shows etcdsec on one machine. It bootstraps a cluster with the etcdsec
// command and starts three real etcd members from the new files. It writes and reads through each
// member and audits them. Then it audits a weak etcd. Run it inside the repository, because the
// folder test/ has the etcd versions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/stop"
)

func main() {
	os.Exit(mainStatus())
}

func mainStatus() int {
	flags := flag.NewFlagSet("etcdsec-demo", flag.ContinueOnError)
	dir := flags.String("dir", "demo", "folder for the cluster; it is made anew")
	etcdsec := flags.String("etcdsec", "bin/etcdsec", "path of the etcdsec command")
	version := flags.String("etcd-version", etcdtest.V3_6, "one of "+strings.Join(etcdtest.Versions(), ", "))
	keep := flags.Bool("keep", false, "leave the cluster running, and print how to reach and stop it")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	ctx, end := stop.Context(context.Background(), os.Stdin, os.Stdout, os.Stderr)
	defer end()
	d := demo{stdout: os.Stdout, stderr: os.Stderr, etcdsec: *etcdsec, version: *version, keep: *keep, now: time.Now}
	if err := d.run(ctx, *dir); err != nil {
		fmt.Fprintf(os.Stderr, "etcdsec-demo: error: %v\n", err)
		return 1
	}
	return 0
}

type demo struct {
	stdout, stderr io.Writer
	now            func() time.Time
	etcdsec        string // path of the command
	version        string
	keep           bool

	dir     string // absolute
	layout  layout
	members []*etcdtest.Member
}

func (d *demo) run(ctx context.Context, dir string) (err error) {
	if d.etcdsec, err = filepath.Abs(d.etcdsec); err != nil {
		return err
	}
	if err := d.prepareDir(dir); err != nil {
		return err
	}
	defer func() { //nolint:contextcheck // members are stopped also when the context has ended
		if err != nil || !d.keep {
			d.stopAll()
		}
	}()
	if err := d.bootstrap(ctx); err != nil {
		return err
	}
	if err := d.startMembers(ctx); err != nil {
		return err
	}
	if err := d.writeAndRead(ctx); err != nil {
		return err
	}
	if err := d.auditCluster(ctx); err != nil {
		return err
	}
	if err := d.auditWeak(ctx); err != nil {
		return err
	}
	d.summary()
	return nil
}

// say prints progress to stderr.
func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.stderr, format+"\n", args...)
}

// print prints the result to stdout.
func (d *demo) print(format string, args ...any) {
	_, _ = fmt.Fprintf(d.stdout, format+"\n", args...)
}

// marker is a file in every folder that a demo made. Only such a folder is ever removed.
const marker = ".etcdsec-demo"

func (d *demo) prepareDir(dir string) error {
	var err error
	if d.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if _, err := os.Stat(d.dir); err == nil {
		if _, err := os.Stat(filepath.Join(d.dir, marker)); err != nil {
			return fmt.Errorf("%s exists, but no earlier demo made it; give another folder with --dir", d.dir)
		}
		if pids := findRunning(d.dir); len(pids) > 0 {
			return fmt.Errorf("the cluster of an earlier demo still runs from %s; stop it with: kill %s", d.dir, strings.Join(pids, " "))
		}
		if err := os.RemoveAll(d.dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, marker), []byte("made by etcdsec-demo, which removes this folder when it runs again\n"), 0o600)
}

// findRunning returns the processes whose command line names a file of a demo's folder.
func findRunning(dir string) []string {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	var pids []string
	for _, path := range paths {
		cmdline, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(cmdline), "--config-file="+dir+string(filepath.Separator)) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func (d *demo) stopAll() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, m := range d.members {
		m.Stop(ctx)
	}
}

// displayPath returns a path as a reader in the current folder would type it.
func displayPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(relative, "..") {
		return relative
	}
	return path
}
