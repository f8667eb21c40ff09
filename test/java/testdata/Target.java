import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The name server under test: makes topics, groups, producers and consumers there. */
final class Target {
    /** The queues of each topic. */
    static final int QUEUES = 4;

    /** Clients of one name share connections, and so the time that ending them takes. */
    private static final String CLIENT = "check";

    /** On a busy machine the usual 3 seconds are not enough. */
    private static final int TIMEOUT_MILLIS = 15_000;

    /** A lost heartbeat, and a route that was asked for too early, would be missed for 30 seconds. */
    private static final int REPEAT_MILLIS = 2_000;

    private final String nameServer;
    private final String suffix;
    private final DefaultMQAdminExt admin;
    private final String broker;
    private final DefaultMQProducer producer;
    private final Set<String> topics = ConcurrentHashMap.newKeySet();
    private final Set<String> groups = ConcurrentHashMap.newKeySet();
    private final List<Runnable> endings = new CopyOnWriteArrayList<>();

    Target(String nameServer, String suffix) throws Exception {
        this.nameServer = nameServer;
        this.suffix = suffix;
        admin = new DefaultMQAdminExt(name("admin"), TIMEOUT_MILLIS);
        configure(admin, CLIENT);
        admin.start();
        broker = admin.examineBrokerClusterInfo().getBrokerAddrTable().values().iterator().next().selectBrokerAddr();

        producer = new DefaultMQProducer(name("producer"));
        start(producer);
    }

    private void configure(ClientConfig config, String client) {
        config.setNamesrvAddr(nameServer);
        config.setInstanceName(client);
        config.setMqClientApiTimeout(TIMEOUT_MILLIS);
        config.setHeartbeatBrokerInterval(REPEAT_MILLIS);
        config.setPollNameServerInterval(REPEAT_MILLIS);
    }

    private void start(DefaultMQProducer producer) throws Exception {
        configure(producer, CLIENT);
        producer.setSendMsgTimeout(TIMEOUT_MILLIS);
        producer.start();
        atEnd(producer::shutdown);
    }

    /** Ends all clients, and deletes what was made for them. */
    void shutdown() throws Exception {
        // Each client waits seconds for its threads.
        endings.parallelStream().forEach(Runnable::run);
        String cluster = admin.examineBrokerClusterInfo().getClusterAddrTable().keySet().iterator().next();
        for (String group : groups) {
            admin.deleteSubscriptionGroup(broker, group, true);
            topics.add("%RETRY%" + group);
            topics.add("%DLQ%" + group);
        }
        for (String topic : topics) {
            admin.deleteTopic(topic, cluster);
        }
        admin.shutdown();
    }

    private void atEnd(Runnable ending) {
        endings.add(ending);
    }

    /** A name that only this run uses. */
    String name(String purpose) {
        return "java-" + purpose + "-" + suffix;
    }

    DefaultMQAdminExt admin() {
        return admin;
    }

    String broker() {
        return broker;
    }

    /** The producer of what has no producer of its own. */
    DefaultMQProducer producer() {
        return producer;
    }

    /** Makes a topic; the attribute names the kind of its messages. */
    String topic(String purpose, String kind) throws Exception {
        TopicConfig config = new TopicConfig(name(purpose), QUEUES, QUEUES);
        Map<String, String> attributes = new HashMap<>();
        attributes.put("+message.type", kind);
        config.setAttributes(attributes);
        topics.add(config.getTopicName());
        admin.createAndUpdateTopicConfig(broker, config);
        Inbox.eventually("route of " + purpose, () -> admin.examineTopicRouteInfo(config.getTopicName()),
            route -> route.getQueueDatas().size() == 1);
        return config.getTopicName();
    }

    /** Makes a consumer group. */
    String group(String purpose) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(name(purpose));
        groups.add(config.getGroupName());
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
        return config.getGroupName();
    }

    /** A consumer that has not been started yet. */
    DefaultMQPushConsumer consumer(String group) {
        return consumer(group, CLIENT);
    }

    /** A second consumer of a group needs another client. */
    DefaultMQPushConsumer consumer(String group, String client) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        configure(consumer, client);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(2);
        return consumer;
    }

    /** Starts a consumer; it is ended with all the others. */
    void start(DefaultMQPushConsumer consumer) throws Exception {
        consumer.start();
        atEnd(consumer::shutdown);
    }

    /** A listener that puts everything into the inbox and is content. */
    static MessageListenerConcurrently into(Inbox inbox) {
        return (messages, context) -> {
            inbox.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    /** Consumes a topic in a group of its own. */
    Inbox consume(String topic, MessageSelector selector) throws Exception {
        DefaultMQPushConsumer consumer = consumer(group("of-" + topic.split("-", 2)[1].replace("-" + suffix, "")));
        consumer.subscribe(topic, selector);
        Inbox inbox = new Inbox();
        consumer.registerMessageListener(into(inbox));
        start(consumer);
        return inbox;
    }

    /** Consumes all messages of a topic in a group of its own. */
    Inbox consume(String topic) throws Exception {
        return consume(topic, MessageSelector.byTag("*"));
    }

    /** A lite pull consumer that has not been started yet. */
    DefaultLitePullConsumer puller(String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        configure(consumer, CLIENT);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        atEnd(consumer::shutdown);
        return consumer;
    }

    /** A producer of transactions, started. */
    TransactionMQProducer transactionProducer(String purpose, TransactionListener listener) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer(name(purpose));
        producer.setTransactionListener(listener);
        start(producer);
        return producer;
    }

    static Message message(String topic, String body) {
        return new Message(topic, body.getBytes(StandardCharsets.UTF_8));
    }
}
