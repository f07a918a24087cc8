package kubeapi

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	clientauthenticationv1beta1 "k8s.io/client-go/pkg/apis/clientauthentication/v1beta1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// checkUser refuses credentials that cannot work, and a program that another user may have chosen.
func checkUser(u *clientcmdapi.AuthInfo, path string) error {
	switch {
	case u.Username != "" || u.Password != "":
		return errors.New("it has a password, which Kubernetes has refused since 1.19")
	case u.Exec != nil && u.AuthProvider != nil:
		return errors.New("it has both exec and auth-provider: remove one of them")
	case u.AuthProvider != nil:
		if err := checkProvider(u.AuthProvider); err != nil {
			return err
		}
	case u.Exec != nil:
		if err := checkPlugin(u.Exec, path); err != nil {
			return err
		}
	}
	if u.TokenFile != "" {
		if _, err := inlineOrFile("tokenFile", nil, u.TokenFile); err != nil {
			return err
		}
	}
	cert, err := inlineOrFile("client-certificate", u.ClientCertificateData, u.ClientCertificate)
	if err != nil || cert == nil {
		return err
	}
	key, err := inlineOrFile("client-key", u.ClientKeyData, u.ClientKey)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return errors.New("client-certificate and client-key are not a pair")
	}
	if time.Now().After(pair.Leaf.NotAfter) { //nolint:forbidigo // as TLS judges it, by the machine's clock
		return fmt.Errorf("the client certificate expired on %s", pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// The keys of an auth-provider oidc, as client-go's plugin/pkg/client/auth/oidc reads them.
const (
	oidcIssuer       = "idp-issuer-url"
	oidcClient       = "client-id"
	oidcCA           = "idp-certificate-authority"
	oidcCAData       = "idp-certificate-authority-data"
	oidcIDToken      = "id-token"
	oidcRefreshToken = "refresh-token"
)

// checkProvider refuses an auth-provider that cannot log in.
func checkProvider(p *clientcmdapi.AuthProviderConfig) error {
	if p.Name != "oidc" {
		return fmt.Errorf("it has the auth-provider %q, which client-go no longer has: use the exec plugin that replaced it", p.Name)
	}
	var faults []error
	missing := func(key, value string) {
		faults = append(faults, fmt.Errorf("auth-provider.config.%s is missing: kubectl config set-credentials USER --auth-provider=oidc --auth-provider-arg=%s=%s", key, key, value))
	}
	if p.Config[oidcIssuer] == "" {
		missing(oidcIssuer, "https://ISSUER")
	}
	if p.Config[oidcClient] == "" {
		missing(oidcClient, "CLIENT")
	}
	if p.Config[oidcIDToken] == "" && p.Config[oidcRefreshToken] == "" {
		faults = append(faults, fmt.Errorf("auth-provider.config has neither %s nor %s: log in with your identity provider's command again, which writes them", oidcIDToken, oidcRefreshToken))
	}
	if _, err := base64.StdEncoding.DecodeString(p.Config[oidcCAData]); err != nil {
		faults = append(faults, fmt.Errorf("auth-provider.config.%s is not base64", oidcCAData))
	}
	if _, err := inlineOrFile("auth-provider.config."+oidcCA, nil, p.Config[oidcCA]); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// checkPlugin refuses a program that client-go would not run, and any program of a kubeconfig that
// others may write: they could choose the program that runs here, perhaps as root.
func checkPlugin(plugin *clientcmdapi.ExecConfig, path string) error {
	versions := []string{clientauthenticationv1.SchemeGroupVersion.String(), clientauthenticationv1beta1.SchemeGroupVersion.String()}
	modes := []string{string(clientcmdapi.NeverExecInteractiveMode), string(clientcmdapi.IfAvailableExecInteractiveMode), string(clientcmdapi.AlwaysExecInteractiveMode)}
	if plugin.Command == "" {
		return errors.New("exec.command is missing: name the program that logs in")
	}
	if err := errors.Join(checkOneOf("exec.apiVersion", plugin.APIVersion, versions), checkOneOf("exec.interactiveMode", string(plugin.InteractiveMode), modes)); err != nil {
		return err
	}
	for i, variable := range plugin.Env {
		if variable.Name == "" {
			return fmt.Errorf("exec.env[%d].name is missing", i)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, is := info.Sys().(*syscall.Stat_t)
	if !is || (owner.Uid != 0 && int(owner.Uid) != os.Geteuid()) {
		return errors.New("it logs in with a program, and the file belongs to somebody else, who could name any program")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("it logs in with a program, and others may write the file: chmod go-w %s", shellword.Path(path))
	}
	return nil
}

// checkOneOf returns an error if the value of a key of the kubeconfig is unknown.
func checkOneOf(key, value string, known []string) error {
	switch {
	case slices.Contains(known, value):
		return nil
	case value == "":
		return fmt.Errorf("%s is missing: it is one of %s", key, strings.Join(known, ", "))
	}
	return fmt.Errorf("%s is %q: it is one of %s", key, shorten(value), strings.Join(known, ", "))
}

// findPlugin returns the path of the program that a user logs in with.
func findPlugin(plugin *clientcmdapi.ExecConfig) (string, error) {
	program, err := exec.LookPath(plugin.Command)
	if err == nil {
		return program, nil
	}
	hint := ""
	if plugin.InstallHint != "" {
		hint = fmt.Sprintf("; the kubeconfig's hint is %q", shorten(strings.Join(strings.Fields(plugin.InstallHint), " ")))
	}
	return "", fmt.Errorf("it logs in with a program that cannot be run: %w%s", err, hint)
}

// newLoginGuard returns the guard of a user's login, without its base, and sets up the supervision of
// the user's program. It returns nil for a user that has credentials and needs no login.
func newLoginGuard(u *clientcmdapi.AuthInfo, c Config, name string) (*loginGuard, error) {
	p := &loginGuard{waiting: Waiting{Kubeconfig: c.Path, User: name}, notify: c.Notify}
	switch {
	case u.AuthProvider != nil:
		p.waiting.Way = "the identity provider " + u.AuthProvider.Config[oidcIssuer]
	case u.Exec != nil:
		program, err := findPlugin(u.Exec)
		if err != nil {
			return nil, err
		}
		if p.leash, err = leash.New(c.Supervisor); err != nil {
			return nil, err
		}
		p.waiting.Way = program
		line := p.leash.CommandLine(loginTimeout, maxCredential, program, u.Exec.Args...)
		u.Exec.Command, u.Exec.Args = line[0], line[1:]
	default:
		return nil, nil //nolint:nilnil // most users need none
	}
	return p, nil
}
