BEGIN TRANSACTION;
PRAGMA application_id = 1347638082;
PRAGMA user_version = 1;
CREATE TABLE drives (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, size INTEGER NOT NULL,
    region TEXT NOT NULL, network TEXT NOT NULL, mount_point TEXT NOT NULL, username TEXT NOT NULL,
    password TEXT NOT NULL);
INSERT INTO "drives" VALUES(1,'sd0duc5oo5c','tey549l1759',1751856000000,NULL,'datasets',2000,'ny2','neg9s3ql6pu','//10.64.12.4/sd0duc5oo5c','u0af6bh5','pnVd4Dgy1OtwD72AUZrR');
INSERT INTO "drives" VALUES(2,'sdn1avbwgdi','tey549l1759',1757040000000,NULL,'eu-archive',250,'ams1','nepzfj4jdrj','//10.80.3.9/sdn1avbwgdi','uaxd4uj5','ccEvFcaytzCwSAqsTpSL');
INSERT INTO "drives" VALUES(3,'sdfrhxleiv2','tey549l1759',1761705600000,NULL,'model-checkpoints',1000,'ny2','neg9s3ql6pu','//10.64.12.5/sdfrhxleiv2','us24en5k','20jr3ZbCeyQDBcxxawO9');
INSERT INTO "drives" VALUES(4,'sdw5cx7nxk0','tey549l1759',1764729600000,NULL,'render-cache',500,'ca1','ne03ofgpoet','//10.72.7.21/sdw5cx7nxk0','uhaqioo9','k4JTTVbRhL3KzTxEp5qR');
INSERT INTO "drives" VALUES(5,'sdd0uqwpfqw','tey549l1759',1768012800000,NULL,'team-home',250,'ny2','neg9s3ql6pu','//10.64.12.8/sdd0uqwpfqw','uhyer8nl','XKzjCf0CCidhyMxtmlUT');
CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, machine TEXT NOT NULL, name TEXT NOT NULL,
    starts INTEGER NOT NULL, finishes INTEGER NOT NULL, fails INTEGER NOT NULL);
INSERT INTO "events" VALUES(1,'mefc58vvjfj','tey549l1759',1767753600000,NULL,'ps2l4zvzs96','snapshot-create',1767753604000,1767753695000,0);
INSERT INTO "events" VALUES(2,'mew0glg6yuy','tey549l1759',1768358400000,NULL,'ps75q94qbda','snapshot-create',1768358404000,1768358495000,0);
INSERT INTO "events" VALUES(3,'mee8b8uflsn','tey549l1759',1768945200000,NULL,'pssqrvj1rd3','snapshot-create',1768945204000,1768945295000,0);
INSERT INTO "events" VALUES(4,'mer7h23lt75','tey549l1759',1769215200000,NULL,'psi5ot578dd','snapshot-create',1769215204000,1769215295000,0);
INSERT INTO "events" VALUES(5,'meo89y6evhh','tey549l1759',1769310000000,NULL,'ps2l4zvzs96','snapshot-create',1769310004000,1769310095000,0);
INSERT INTO "events" VALUES(6,'meaakhggnsj','tey549l1759',1769655600000,NULL,'pssqrvj1rd3','snapshot-create',1769655604000,1769655695000,0);
INSERT INTO "events" VALUES(7,'metruqr7y80','tey549l1759',1769726400000,NULL,'ps2l4zvzs96','snapshot-create',1769726404000,1769726495000,0);
INSERT INTO "events" VALUES(8,'menxcfwyt88','tey549l1759',1769742000000,NULL,'ps75q94qbda','snapshot-create',1769742004000,1769742095000,0);
INSERT INTO "events" VALUES(9,'mer5qq5ihlq','tey549l1759',1769802000000,NULL,'pssqrvj1rd3','snapshot-create',1769802004000,1769802095000,0);
INSERT INTO "events" VALUES(10,'met3bqdnfmj','tey549l1759',1769828400000,NULL,'psi5ot578dd','snapshot-create',1769828404000,1769828495000,0);
INSERT INTO "events" VALUES(11,'me6ckpld6yc','tey549l1759',1769914800000,NULL,'ps2l4zvzs96','snapshot-create',1769914804000,1769914895000,0);
INSERT INTO "events" VALUES(12,'mef0itp44eb','tey549l1759',1769982000000,NULL,'psi5ot578dd','snapshot-create',1769982004000,1769982095000,0);
CREATE TABLE machines (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, region TEXT NOT NULL,
    disk_bytes INTEGER NOT NULL);
INSERT INTO "machines" VALUES(1,'ps2l4zvzs96','tey549l1759',1752720000000,NULL,'llm-trainer','ny2',184000000000);
INSERT INTO "machines" VALUES(2,'psi5ot578dd','tey549l1759',1752720000000,NULL,'notebook-box','ny2',46000000000);
INSERT INTO "machines" VALUES(3,'ps75q94qbda','tey549l1759',1752720000000,NULL,'render-01','ca1',97000000000);
INSERT INTO "machines" VALUES(4,'pssqrvj1rd3','tey549l1759',1752720000000,NULL,'eu-inference','ams1',128000000000);
CREATE TABLE networks (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, region TEXT NOT NULL);
INSERT INTO "networks" VALUES(1,'neg9s3ql6pu','tey549l1759',1750128000000,NULL,'research-ny2','ny2');
INSERT INTO "networks" VALUES(2,'ne03ofgpoet','tey549l1759',1750128000000,NULL,'render-ca1','ca1');
INSERT INTO "networks" VALUES(3,'nepzfj4jdrj','tey549l1759',1750128000000,NULL,'serving-ams1','ams1');
CREATE TABLE providers (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, name TEXT NOT NULL, type TEXT NOT NULL, bucket TEXT,
    region TEXT, endpoint TEXT, access_key TEXT, secret_key TEXT, signature_version TEXT,
    retain_data INTEGER NOT NULL, is_team_default INTEGER NOT NULL);
INSERT INTO "providers" VALUES(1,'sp4el6e4d27','tey549l1759',1753584000000,NULL,'team-artifacts','s3','sandbox-team-artifacts','us-east-1',NULL,'SANDBOXKEYA3X2TO7Y63','sandbox/not/real/4kL4qG6CWVZLXJpRw4yXDDa',NULL,0,1);
CREATE TABLE snapshots (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, machine TEXT NOT NULL, name TEXT NOT NULL, note TEXT,
    storage_bytes INTEGER NOT NULL, is_auto INTEGER NOT NULL);
INSERT INTO "snapshots" VALUES(1,'sssn7n4opie','tey549l1759',1767753600000,NULL,'ps2l4zvzs96','Clean Ubuntu 22.04 with drivers','The image every trainer starts from',21000000000,0);
INSERT INTO "snapshots" VALUES(2,'ssvjgp8gon4','tey549l1759',1768358400000,NULL,'ps75q94qbda','Blender 4.2 baseline',NULL,88000000000,0);
INSERT INTO "snapshots" VALUES(3,'ssrni8tb8j3','tey549l1759',1768945200000,NULL,'pssqrvj1rd3','vLLM serving baseline','Serves the support model',120000000000,0);
INSERT INTO "snapshots" VALUES(4,'ssaufk733nn','tey549l1759',1769215200000,NULL,'psi5ot578dd','Working JupyterLab setup',NULL,41000000000,0);
INSERT INTO "snapshots" VALUES(5,'ssfmz87l86b','tey549l1759',1769310000000,NULL,'ps2l4zvzs96','Automatic snapshot 2026-01-25',NULL,176000000000,1);
INSERT INTO "snapshots" VALUES(6,'ssafoc5l3wb','tey549l1759',1769655600000,NULL,'pssqrvj1rd3','Automatic snapshot 2026-01-29',NULL,127000000000,1);
INSERT INTO "snapshots" VALUES(7,'sshifdi64z1','tey549l1759',1769726400000,NULL,'ps2l4zvzs96','Before CUDA 12.8 upgrade','Roll back here if NCCL hangs',180000000000,0);
INSERT INTO "snapshots" VALUES(8,'ss3x5uvfifv','tey549l1759',1769742000000,NULL,'ps75q94qbda','Automatic snapshot 2026-01-30',NULL,96000000000,1);
INSERT INTO "snapshots" VALUES(9,'sssrmm5s2a6','tey549l1759',1769802000000,NULL,'pssqrvj1rd3','Before kernel upgrade',NULL,128000000000,0);
INSERT INTO "snapshots" VALUES(10,'sswcj9n3pqq','tey549l1759',1769828400000,NULL,'psi5ot578dd','Automatic snapshot 2026-01-31',NULL,45000000000,1);
INSERT INTO "snapshots" VALUES(11,'ssxvww45ytq','tey549l1759',1769914800000,NULL,'ps2l4zvzs96','Automatic snapshot 2026-02-01',NULL,183000000000,1);
INSERT INTO "snapshots" VALUES(12,'ssjdnonf2n5','tey549l1759',1769982000000,NULL,'psi5ot578dd','Before pip clean-up',NULL,46000000000,0);
CREATE TABLE teams (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, team TEXT NOT NULL,
    created INTEGER NOT NULL, deleted INTEGER, key_hash TEXT NOT NULL UNIQUE,
    datasets INTEGER NOT NULL, models INTEGER NOT NULL, notebooks INTEGER NOT NULL);
INSERT INTO "teams" VALUES(1,'tey549l1759','tey549l1759',1749264000000,NULL,'e8b6b754ce6f5ec43dbd591554ce47dd169f844cb48b15009d9537e15ab5b0bf',312400000000,148750000000,27310000000);
COMMIT;
