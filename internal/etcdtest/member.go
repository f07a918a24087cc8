package etcdtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config describes how to start one etcd process.
type Config struct {
	Name    string
	Version string   // one of Versions; V3_6 when empty
	Program string   // the path of an etcd of another version, in place of Version
	Args    []string // etcd's flags, or --config-file=…
	Env     []string // NAME=value, in addition to the environment of this process
	Dir     string   // working directory
	// Path is where the binary is placed and started, for code that finds a process by the name of
	// its executable. If empty, the binary is started from the cache.
	Path    string
	LogPath string // the file for its output; it is created

	// HealthURL returns 200 when the member is in a cluster with a leader: /health of a listener,
	// or /readyz. HealthTLS is for https.
	HealthURL string
	HealthTLS *tls.Config

	// Detach lets the process outlive this one.
	Detach bool
}

// Member is a started etcd process.
type Member struct {
	config Config
	cmd    *exec.Cmd
	done   chan struct{}

	mu   sync.Mutex
	exit error
}

// Start starts a member and does not wait until it is healthy. It builds the binary first, if
// necessary.
func Start(ctx context.Context, config Config, progress io.Writer) (*Member, error) {
	if config.Version == "" {
		config.Version = V3_6
	}
	binary := config.Program
	if binary == "" {
		var err error
		if binary, err = Binary(ctx, config.Version, progress); err != nil {
			return nil, err
		}
	}
	if config.Path != "" {
		var err error
		if binary, err = place(binary, config.Path); err != nil {
			return nil, fmt.Errorf("placing etcd %s: %w", config.Name, err)
		}
	}
	log, err := os.OpenFile(config.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of etcd %s: %w", config.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(binary, config.Args...)
	cmd.Dir = config.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(environment(), config.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the terminal is for us, and we stop it in order
	if !config.Detach {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	m := &Member{config: config, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	// Pdeathsig follows the thread that forked, so that thread must live as long as the child.
	go m.supervise(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting etcd %s: %w", config.Name, err)
	}
	return m, nil
}

// place links a binary to a path, or copies it if the path is on another file system.
func place(binary, path string) (string, error) {
	if os.Link(binary, path) == nil {
		return path, nil
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o700)
}

// environment returns the variables of this process without those of etcd, which would override
// flags.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ETCD_") {
			env = append(env, v)
		}
	}
	return env
}

// PID returns the process ID.
func (m *Member) PID() int { return m.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended.
func (m *Member) Done() <-chan struct{} { return m.done }

// Kill ends the process as a crash would (SIGKILL) and waits for it.
func (m *Member) Kill() {
	_ = m.cmd.Process.Kill() // fails only when it has ended
	<-m.done
}

// Stop asks the process to end (SIGTERM) and waits. If ctx ends first, Stop kills it.
func (m *Member) Stop(ctx context.Context) {
	_ = m.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-m.done:
	case <-ctx.Done():
		m.Kill()
	}
}

// Log returns the end of the process's output.
func (m *Member) Log() string {
	const most = 16 << 10
	f, err := os.Open(m.config.LogPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd) // a whole log will do as well
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// WaitHealthy waits until the member is healthy. If the process or ctx ends first, it returns an error
// with the end of the log.
func (m *Member) WaitHealthy(ctx context.Context) error {
	transport := &http.Transport{TLSClientConfig: m.config.HealthTLS, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 15 * time.Second} // more than etcd gives itself to answer
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		last := probe(ctx, client, m.config.HealthURL)
		select {
		case <-m.done:
			return fmt.Errorf("etcd %s ended (%v); its log ends:\n%s", m.config.Name, m.exitError(), m.Log())
		case <-ctx.Done():
			return fmt.Errorf("etcd %s is not healthy: %w (%v); its log ends:\n%s", m.config.Name, last, ctx.Err(), m.Log())
		default:
		}
		if last == nil {
			return nil
		}
		<-tick.C
	}
}

func probe(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", url, response.Status, body)
	}
	return nil
}

func (m *Member) exitError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.exit
}
