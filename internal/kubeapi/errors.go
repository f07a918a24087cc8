package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// answerError is an answer with an error status. Its cause is an APIStatus, so that
// k8s.io/apimachinery/pkg/api/errors can distinguish its kinds: IsForbidden, IsNotFound.
type answerError struct {
	host  string
	cause apierrors.APIStatus
}

func (e *answerError) Error() string {
	status := e.cause.Status()
	text := fmt.Sprintf("%s answers HTTP status %d", e.host, status.Code)
	if status.Message != "" {
		text += fmt.Sprintf(": %q", shorten(status.Message))
	}
	return text
}

func (e *answerError) Unwrap() error {
	err, _ := e.cause.(error)
	return err
}

// sizeError means that an answer of a server is too large.
type sizeError struct{ limit int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("it answers more than %d MiB", e.limit>>20)
}

// explain shortens an error of client-go: it removes the URL and long texts of the server.
func (c *Client) explain(err error) error {
	if tooLarge, is := errors.AsType[*sizeError](err); is {
		return fmt.Errorf("asking %s: %w", c.base.Host, tooLarge)
	}
	var status apierrors.APIStatus // not an error by its type, so errors.AsType does not take it
	if errors.As(err, &status) {
		return &answerError{host: c.base.Host, cause: status}
	}
	if failed, is := errors.AsType[*url.Error](err); is {
		err = failed.Err
	}
	return fmt.Errorf("asking %s: %w", c.base.Host, err)
}

// shorten cuts a text to the maximum length in an error.
func shorten(text string) string {
	const most = 200
	text = strings.ToValidUTF8(text, "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// loginError means that the login of the kubeconfig failed or was too slow.
type loginError struct {
	waiting Waiting
	cause   error
}

func (e *loginError) Error() string {
	// client-go's errors may have several lines.
	cause := strings.Join(strings.Fields(e.cause.Error()), " ")
	return fmt.Sprintf("logging in as the user %q of the kubeconfig %s with %s: %s", e.waiting.User, e.waiting.Kubeconfig, e.waiting.Way, shorten(cause))
}

func (e *loginError) Unwrap() error { return e.cause }

// errLoginTooLong is a context.DeadlineExceeded.
var errLoginTooLong = fmt.Errorf("it took longer than %s: %w", loginTimeout, context.DeadlineExceeded)
