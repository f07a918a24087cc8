package host

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
)

// podManifest is the part of a Pod (k8s.io/api/core/v1) that is read.
type podManifest struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		HostPID         *bool           `json:"hostPID"`
		HostIPC         *bool           `json:"hostIPC"`
		SecurityContext securityContext `json:"securityContext"`
		Containers      []podContainer  `json:"containers"`
		Volumes         []struct {
			Name     string `json:"name"`
			HostPath *struct {
				Path string `json:"path"`
			} `json:"hostPath"`
		} `json:"volumes"`
	} `json:"spec"`
}

type podContainer struct {
	Name       string   `json:"name"`
	Image      string   `json:"image"`
	Command    []string `json:"command"`
	Args       []string `json:"args"`
	WorkingDir string   `json:"workingDir"`
	Env        []struct {
		Name      string         `json:"name"`
		Value     string         `json:"value"`
		ValueFrom map[string]any `json:"valueFrom"`
	} `json:"env"`
	EnvFrom         []map[string]any `json:"envFrom"`
	SecurityContext securityContext  `json:"securityContext"`
	VolumeMounts    []struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		SubPath   string `json:"subPath"`
	} `json:"volumeMounts"`
}

// parsePod reads a static Pod's manifest as the kubelet does: YAML or JSON, the first document.
// A manifest of another kind is an error.
func parsePod(data []byte) ([]*invocation, error) {
	var pod podManifest
	if err := yaml.Unmarshal(data, &pod); err != nil {
		return nil, fmt.Errorf("not the YAML of a Pod: %s", makePrintable(err.Error()))
	}
	if pod.Kind != "Pod" {
		return nil, fmt.Errorf("of kind %q, and not a Pod", shorten(pod.Kind))
	}
	return pod.invocations(), nil
}

func (pod podManifest) invocations() []*invocation {
	outside := map[string]string{} // the volumes that are of the host
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil && path.IsAbs(v.HostPath.Path) {
			outside[v.Name] = path.Clean(v.HostPath.Path)
		}
	}
	var found []*invocation
	for _, container := range pod.Spec.Containers {
		inv := container.invocation()
		if inv == nil {
			continue
		}
		inv.sandbox = pod.sandbox(container)
		inv.view = &view{elsewhere: errInImage, dir: container.WorkingDir}
		for _, m := range container.VolumeMounts {
			if on, ok := outside[m.Name]; ok && path.IsAbs(m.MountPath) {
				inv.view.mounts = append(inv.view.mounts, mount{path.Clean(m.MountPath), path.Join(on, m.SubPath)})
			}
		}
		found = append(found, inv)
	}
	return found
}

// invocation returns how a container starts a program; nil if it starts another one.
func (c podContainer) invocation() *invocation {
	inv := &invocation{version: imageVersion(c.Image)}
	left := maxFile      // to expand to: each variable can double the one before it
	var unknown []string // variables that the kubelet fills in
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			unknown = append(unknown, v.Name)
			continue
		}
		inv.env = append(inv.env, variable{v.Name, expand(v.Value, inv.env, &left)})
	}
	argv := slices.Concat(c.Command, c.Args)
	for i, word := range argv {
		argv[i] = expand(word, inv.env, &left)
	}
	inv.program, inv.args = programIn(argv)
	if inv.program == "" {
		if inv.program = programInScript(argv); inv.program != "" {
			inv.script = true
			return inv
		}
		// The image's own entry point; Docker Hub's and etcd's own have one in front of the flags.
		name := imageName(c.Image)
		flagsOnly := len(c.Command) == 0 && !slices.ContainsFunc(c.Args, func(a string) bool { return !strings.HasPrefix(a, "-") })
		if !slices.Contains(programs(), name) || !flagsOnly {
			return nil
		}
		inv.program, inv.args = name, argv
	}
	if inv.program == etcd {
		for _, name := range unknown {
			if flag, ok := strings.CutPrefix(name, etcdPrefix); ok {
				inv.faults = append(inv.faults, audit.Fault{Subject: strings.ToLower(strings.ReplaceAll(flag, "_", "-")), Reason: "the kubelet fills in " + makePrintable(name)})
			}
		}
		if len(c.EnvFrom) > 0 {
			inv.faults = append(inv.faults, audit.Fault{Reason: "the manifest takes variables from a ConfigMap or Secret (envFrom)"})
		}
	}
	return inv
}

// expand replaces $(NAME) by the value of a variable, and $$ by a dollar sign, as Kubernetes
// does. An unknown name stays as it is. left bounds how much all texts together may grow; when
// it is used up, every name stays.
func expand(text string, env []variable, left *int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at+1 == len(text) {
			return b.String() + text
		}
		b.WriteString(text[:at])
		text = text[at:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[1] == '$':
			b.WriteByte('$')
			text = text[2:]
		case text[1] == '(' && end > 0:
			value, found := lookup(env, text[2:end])
			if !found || len(value) > *left {
				value = text[:end+1]
			} else {
				*left -= len(value)
			}
			b.WriteString(value)
			text = text[end+1:]
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
}

// imageName returns the last part of an image reference, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name
}

func imageVersion(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(path.Base(image), ":")
	return releaseOf(tag)
}

// manifests finds the static Pods. The kubelet reads every file of the folder whose name does
// not begin with a dot, whatever its extension: etcd.yaml.bak runs too.
func (c *collector) manifests(dirs []string) []*invocation {
	var found []*invocation
	for _, dir := range dirs {
		names, err := c.host.names(dir, maxNames)
		if err != nil {
			c.missUnlessAbsent(dir, err)
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, ".") {
				continue
			}
			at := path.Join(dir, name)
			info, err := c.host.stat(at)
			if err == nil && info.IsDir() {
				continue
			}
			data, err := c.host.readFile(at, maxFile)
			switch {
			case err == nil:
			case info != nil && !info.Mode().IsRegular(): // the kubelet reads no such file either
				c.fault(at, err)
				continue
			default:
				c.miss(at, err)
				continue
			}
			invs, err := parsePod(data)
			switch {
			case err == nil:
			case namesProgram(name) || namesProgram(string(data)):
				c.miss(at, err)
			default:
				c.fault(at, err)
			}
			for _, inv := range invs {
				inv.origin, inv.view.host = at, c.host
				inv.files = []file{{at, audit.ManifestFile}}
				found = append(found, inv)
			}
		}
	}
	return found
}
