package auth

import (
	"context"
	"fmt"
	"time"

	oras "oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// helperWait bounds a credential helper.
const helperWait = 10 * time.Second

// Login returns the credential that the replica is shown. It is called again when the replica refuses the credential,
// and from time to time.
type Login func(ctx context.Context) (oras.Credential, error)

// Password is a login with a user name and password from the file.
func Password(username, password string) Login {
	return func(context.Context) (oras.Credential, error) {
		return oras.Credential{Username: username, Password: password}, nil
	}
}

// DockerLogin is the login that docker has stored for the first of the hosts that it has one for. Without one, or
// without the file, the login is anonymous, which is enough for public images.
func DockerLogin(path string, hosts ...string) Login {
	return func(ctx context.Context) (oras.Credential, error) {
		ctx, cancel := context.WithTimeout(ctx, helperWait)
		defer cancel()
		store, err := credentials.NewStore(path, credentials.StoreOptions{})
		if err != nil {
			return oras.EmptyCredential, err
		}
		for _, host := range hosts {
			c, err := store.Get(ctx, credentials.ServerAddressFromHostname(host))
			if err != nil || c != oras.EmptyCredential {
				return c, err
			}
		}
		return oras.EmptyCredential, nil
	}
}

// DockerConfig is the login that a docker config.json has for a host, in itself or by its credential helpers. The file
// is read each time, so that a password can be rotated without a restart.
func DockerConfig(path, host string) Login {
	login := DockerLogin(path, host)
	return func(ctx context.Context) (oras.Credential, error) {
		c, err := login(ctx)
		if err == nil && c == oras.EmptyCredential {
			err = fmt.Errorf("%s has no login for %s", path, host)
		}
		return c, err
	}
}
