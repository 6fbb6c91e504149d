"""nginx: one worker, HTTP/1.1 with keep-alive to the upstream, no log, no buffering of bodies on disk.

`keepalive_requests` is lifted so that a long run measures requests, not reconnections (its default closes
each connection after 1,000 of them). TLS 1.3 is switched on: this is the default of later versions.
"""

import os

from bench.peer import Peer, Program, Site

CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    client_max_body_size 0;
    keepalive_requests 100000000;
    upstream model {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{listen}{tls};
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""
TLS = """\
 ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3"""
NGINX = Program(path="nginx", version=("nginx", "-v"), install="apt-get install nginx-light", debian=True)


def command(site: Site) -> list[str]:
    path = site.folder / "nginx.conf"
    # As root nginx would drop to a user who cannot enter the run's private folder.
    user = "user root;" if os.geteuid() == 0 else ""
    tls = TLS.format(certificate=site.certificate) if site.certificate else ""
    path.write_text(
        CONFIGURATION.format(
            user=user,
            folder=site.folder,
            connections=2 * site.connections,  # both sides of the proxy count
            listen=site.listen,
            tls=tls,
            upstream=site.upstream,
        )
    )
    return ["nginx", "-p", str(site.folder), "-e", "stderr", "-c", str(path)]


PEER = Peer(
    name="nginx",
    title="nginx, one worker, keep-alive upstream",
    command=command,
    programs=(NGINX,),
    tls=True,
)
