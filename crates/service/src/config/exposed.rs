//! Passwords that a network could read: nothing is wrong with the file, but whoever starts the service should know.

use taskgraft_client::is_loopback;
use url::Url;

use super::file::Config;

/// Whether all that is sent there can be read and changed on the way.
#[must_use]
pub fn is_exposed(url: &str) -> bool {
    let url = Url::parse(url);
    url.is_ok_and(|url| matches!(url.scheme(), "http" | "amqp") && !is_loopback(&url))
}

impl Config {
    /// What lets others read a password, each in words.
    #[must_use]
    pub fn exposed(&self) -> Vec<String> {
        let pulse = self.pulse.iter().map(|pulse| ("pulse.url".to_owned(), &pulse.url, &pulse.user, "amqps://"));
        let masters = self.project.iter().flat_map(|(name, project)| {
            let with_user = project.buildbot.iter().filter_map(|master| Some((master, master.user.as_ref()?)));
            with_user.map(move |(master, user)| (format!("project.{name}.buildbot.url"), &master.url, user, "https://"))
        });
        let exposed = pulse.chain(masters).filter(|(_, url, ..)| is_exposed(url));
        let told = exposed.map(|(key, url, user, better)| {
            format!("`{key}`: whoever is on the way to {url} can read the password of `{user}`: use {better}")
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(broker: &str, master: &str, user: &str) -> Vec<String> {
        let text = format!(
            "[pulse]\nurl = \"{broker}\"\nuser = \"ann\"\n[project.lander]\nlevel = \"3\"\n\
             [[project.lander.buildbot]]\nname = \"main\"\nurl = \"{master}\"\nscheduler = \"force\"\n\
             builders = [\"*\"]\n{user}"
        );
        Config::read(&text).unwrap().exposed()
    }

    #[test]
    fn a_password_that_goes_over_a_network_in_the_clear_is_told() {
        let user = "user = \"bob\"\n";
        assert_eq!(
            exposed("amqp://192.0.2.1:5672/x", "http://buildbot.example.com/", user),
            [
                "`pulse.url`: whoever is on the way to amqp://192.0.2.1:5672/x can read the password of `ann`: use amqps://",
                "`project.lander.buildbot.url`: whoever is on the way to http://buildbot.example.com can read the password \
                 of `bob`: use https://"
            ]
        );
        for (broker, master, user) in [
            ("amqps://pulse.example.com", "https://buildbot.example.com", user),
            ("amqp://127.0.0.1", "http://localhost:8010", user),
            ("amqp://[::1]:5672", "http://buildbot.example.com", ""),
        ] {
            assert!(exposed(broker, master, user).is_empty(), "{broker} {master}");
        }
        assert!(Config::read("").unwrap().exposed().is_empty());
    }
}
